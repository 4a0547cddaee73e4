/** Lines of two texts beside each other, by their longest common lines. */

export interface Pair {
  before: string | null;
  after: string | null;
  same: boolean;
}

/** Beyond this the table of common lines would take long: then only what begins and ends alike is lined up. */
const cellsMax = 4_000_000;

export function align(before: string[], after: string[]): Pair[] {
  let head = 0;
  while (head < before.length && head < after.length && before[head] === after[head]) head++;
  let tail = 0;
  while (tail < before.length - head && tail < after.length - head && before[before.length - 1 - tail] === after[after.length - 1 - tail]) tail++;
  const same = (text: string): Pair => ({ before: text, after: text, same: true });
  return [...before.slice(0, head).map(same), ...middle(before.slice(head, before.length - tail), after.slice(head, after.length - tail)), ...before.slice(before.length - tail).map(same)];
}

function middle(before: string[], after: string[]): Pair[] {
  const pairs: Pair[] = [];
  let gone: string[] = [];
  let come: string[] = [];
  const flush = () => {
    for (let index = 0; index < Math.max(gone.length, come.length); index++) pairs.push({ before: gone[index] ?? null, after: come[index] ?? null, same: false });
    gone = [];
    come = [];
  };
  const width = after.length + 1;
  if (before.length * after.length > cellsMax) {
    gone = before;
    come = after;
    flush();
    return pairs;
  }
  const common = new Uint32Array((before.length + 1) * width);
  for (let i = before.length - 1; i >= 0; i--)
    for (let j = after.length - 1; j >= 0; j--) common[i * width + j] = before[i] === after[j] ? common[(i + 1) * width + j + 1]! + 1 : Math.max(common[(i + 1) * width + j]!, common[i * width + j + 1]!);
  let i = 0;
  let j = 0;
  while (i < before.length || j < after.length) {
    if (i < before.length && j < after.length && before[i] === after[j]) {
      flush();
      pairs.push({ before: before[i]!, after: after[j]!, same: true });
      i++;
      j++;
    } else if (j >= after.length || (i < before.length && common[(i + 1) * width + j]! >= common[i * width + j + 1]!)) gone.push(before[i++]!);
    else come.push(after[j++]!);
  }
  flush();
  return pairs;
}
