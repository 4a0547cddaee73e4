import { Dialog, Kbd } from "@/components/ui";
import { helpText } from "@/text";

export function Help({ open, onClose }: { open: boolean; onClose: () => void }) {
  return (
    <Dialog open={open} onClose={onClose} title={helpText.title}>
      <dl className="grid grid-cols-[auto_1fr] items-center gap-x-4 gap-y-2">
        {helpText.keys.map(([keys, words]) => (
          <div key={words} className="contents">
            <dt className="flex gap-1">{keys.split(" ").map((key) => <Kbd key={key}>{key}</Kbd>)}</dt>
            <dd className="text-muted">{words}</dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}
