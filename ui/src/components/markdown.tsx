/** Renders a subset of Markdown: emphasis, code, links, lists, headings. HTML stays text. */

import { Fragment, type ReactNode } from "react";

const inline = /(`[^`\n]+`)|(\*\*[^*\n]+\*\*)|(\*[^*\s][^*\n]*\*|\b_[^_\n]+_\b)|(\[[^\]\n]*\]\((?:https?:\/\/|mailto:)[^\s)]+\))|(https?:\/\/[^\s<>()]+[^\s<>().,;:!?'"])/;

function words(text: string): ReactNode[] {
  const nodes: ReactNode[] = [];
  let rest = text;
  while (rest) {
    const hit = inline.exec(rest);
    if (!hit) break;
    if (hit.index > 0) nodes.push(rest.slice(0, hit.index));
    const [match, code, strong, soft, link] = hit;
    if (code) nodes.push(<code className="rounded-sm bg-sunken px-1 font-mono text-[0.92em] hairline">{code.slice(1, -1)}</code>);
    else if (strong) nodes.push(<strong className="font-semibold">{words(strong.slice(2, -2))}</strong>);
    else if (soft) nodes.push(<em>{words(soft.slice(1, -1))}</em>);
    else {
      const label = link ? link.slice(1, link.indexOf("](")) : match;
      const to = link ? link.slice(link.indexOf("](") + 2, -1) : match;
      nodes.push(
        <a href={to} target="_blank" rel="noreferrer noopener" className="text-accent hover:underline">
          {label}
        </a>,
      );
    }
    rest = rest.slice(hit.index + match.length);
  }
  if (rest) nodes.push(rest);
  return nodes.map((item, index) => <Fragment key={index}>{item}</Fragment>);
}

export function Markdown({ text, className }: { text: string; className?: string }) {
  const blocks: ReactNode[] = [];
  let list: { items: string[]; isNumbered: boolean } | null = null;
  const close = () => {
    if (!list) return;
    const items = list.items.map((item, index) => <li key={index}>{words(item)}</li>);
    blocks.push(list.isNumbered ? <ol className="list-decimal pl-5">{items}</ol> : <ul className="list-disc pl-5">{items}</ul>);
    list = null;
  };
  for (const line of text.split("\n")) {
    const bullet = /^\s*(?:[-*+]|(\d+)[.)])\s+(.*)$/.exec(line);
    if (bullet) {
      const isNumbered = bullet[1] !== undefined;
      if (list && list.isNumbered !== isNumbered) close();
      list ??= { items: [], isNumbered };
      list.items.push(bullet[2]!);
      continue;
    }
    close();
    const heading = /^\s*#{1,6}\s+(.*)$/.exec(line);
    if (heading) blocks.push(<p className="font-semibold">{words(heading[1]!)}</p>);
    else if (line.trim()) blocks.push(<p>{words(line)}</p>);
  }
  close();
  return (
    <div className={className}>
      {blocks.map((block, index) => (
        <Fragment key={index}>{block}</Fragment>
      ))}
    </div>
  );
}
