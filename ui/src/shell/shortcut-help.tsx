import { Dialog, Kbd } from "@/components/ui";

const shortcuts: [string, string][] = [
  ["⌘/Ctrl K", "Search, jump to a page, start a workflow"],
  ["/", "Search the list"],
  ["j k", "Next or previous row"],
  ["enter", "Open the row"],
  ["x", "Select the row"],
  ["esc", "Close or clear the selection"],
  ["c", "Start a run"],
  ["[", "Collapse or expand the sidebar"],
  ["?", "Show this list"],
];

export function Help({ open, onClose }: { open: boolean; onClose: () => void }) {
  return (
    <Dialog open={open} onClose={onClose} title="Keyboard shortcuts">
      <dl className="grid grid-cols-[auto_1fr] items-center gap-x-4 gap-y-2">
        {shortcuts.map(([keys, words]) => (
          <div key={words} className="contents">
            <dt className="flex gap-1">{keys.split(" ").map((key) => <Kbd key={key}>{key}</Kbd>)}</dt>
            <dd className="text-muted">{words}</dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}
