/** The ids of client events that an instance has taken, as records hold them: oldest first by the last that was added to each. */
export type SeenEvents = readonly (SeenRange | string)[];

/**
 * Ids that differ in the number at their end only, and follow each other: `web-1` to `web-57` is one range. An id without a number has -1. A record of
 * an older version holds a text for each id.
 */
type SeenRange = readonly [prefix: string, from: number, to: number, age: number];

/** How far an instance has aged, and when it took the last event with an id: what tells how old a remembered id is. */
export type SeenAge = readonly [age: number, at: number];

export interface EventMemory {
  readonly seen: SeenEvents;
  readonly seenAge?: SeenAge | undefined;
}

export const eventMemory = {
  /** How long an id is remembered at least. A sender repeats an event for less than that. */
  ms: 300_000,
  /** Ranges that are remembered however old they are. */
  least: 64,
  /** Ranges that are remembered at most: an instance that holds so many young ones takes no further event with an id. */
  most: 4_096,
} as const;

/** Between two events an instance ages by no more: the clock of its next host may be ahead by an hour. */
const LONGEST_GAP_MS = 60_000;
const NO_NUMBER = -1;

/** Whether an event with this id was taken. */
export function hasSeen({ seen }: EventMemory, id: string): boolean {
  const [prefix, number] = partsOf(id);
  return seen.some((range) =>
    typeof range === "string" ? range === id : range[0] === prefix && range[1] <= number && number <= range[2],
  );
}

/** Whether one id more can be remembered without one being forgotten that its sender may still repeat. */
export function hasRoomFor(memory: EventMemory, id: string, at: number): boolean {
  return memory.seen.length < eventMemory.most || remember(memory, id, at).seen.length <= eventMemory.most;
}

/** The memory with one id more, and without those that nobody repeats any longer. */
export function remember(memory: EventMemory, id: string, at: number): Required<EventMemory> {
  const age = agedBy(memory, at);
  const [prefix, number] = partsOf(id);
  let from = number;
  let to = number;
  const others = rangesOf(memory).filter((range) => {
    if (range[0] !== prefix || range[1] > to + 1 || range[2] < from - 1) return true;
    from = Math.min(from, range[1]);
    to = Math.max(to, range[2]);
    return false;
  });
  return { seen: stillKept([...others, [prefix, from, to, age]], age), seenAge: [age, at] };
}

function stillKept(ranges: readonly SeenRange[], age: number): readonly SeenRange[] {
  const first = ranges.findIndex(
    (range, index) => range[3] >= age - eventMemory.ms || index >= ranges.length - eventMemory.least,
  );
  return first > 0 ? ranges.slice(first) : ranges;
}

function rangesOf({ seen, seenAge }: EventMemory): readonly SeenRange[] {
  if (!seen.some((range) => typeof range === "string")) return seen as readonly SeenRange[];
  const age = seenAge?.[0] ?? 0;
  return seen.map((range) => {
    if (typeof range !== "string") return range;
    const [prefix, number] = partsOf(range);
    return [prefix, number, number, age];
  });
}

function agedBy({ seenAge }: EventMemory, at: number): number {
  const [age, before] = seenAge ?? [0, at];
  return age + Math.min(LONGEST_GAP_MS, Math.max(0, at - before));
}

/** An id as what stands before the number at its end, and that number: the two together are the id again, so no two ids have the same. */
function partsOf(id: string): readonly [prefix: string, number: number] {
  const number = /(?:0|[1-9]\d{0,14})$/.exec(id)?.[0];
  return number === undefined ? [id, NO_NUMBER] : [id.slice(0, -number.length), Number(number)];
}
