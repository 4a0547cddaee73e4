export function Logo({ className }: { className?: string }) {
  return (
    <svg viewBox="0 0 24 24" aria-hidden className={className} fill="none" stroke="currentColor" strokeWidth="2.2" strokeLinecap="round">
      <path d="M12 9.4c-.5-3.7 1-5.9 3.9-6.6" />
      <path d="M14.3 13.2c3.5 1.4 4.6 3.7 3.8 6.6" />
      <path d="M9.7 13.3c-2.9 2.3-5.6 2.2-7.7-.2" />
      <circle cx="12" cy="12" r="2.5" fill="currentColor" stroke="none" />
    </svg>
  );
}
