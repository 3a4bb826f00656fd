/** Whether a status of HTTP is in a list. */
export type StatusList = (status: number) => boolean;

/** Reads a list such as `400-599`, `404,500-599` or `none`; `undefined` when it is not one. */
export function parseStatusList(text: string): StatusList | undefined {
  if (text.trim() === "none") return () => false;
  const ranges: (readonly [number, number])[] = [];
  for (const part of text.split(",")) {
    const [, first, last] = /^\s*(\d{3})(?:-(\d{3}))?\s*$/.exec(part) ?? [];
    if (first === undefined) return undefined;
    ranges.push([Number(first), Number(last ?? first)]);
  }
  return (status) => ranges.some(([first, last]) => status >= first && status <= last);
}
