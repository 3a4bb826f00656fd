/** The ids of clients' events that an instance has taken, as records hold them. The entry that grew last stands last. */
export type SeenEvents = readonly (SeenRange | string)[];

/**
 * Consecutive ids that differ only in the number at their end; `web-1` to `web-57` is one range. An id without a number has -1. A record of an older
 * version holds a text for each id.
 */
type SeenRange = readonly [prefix: string, from: number, to: number, age: number];

/** The age of an instance, and the time at which it took the last event with an id. Both together give the age of a remembered id. */
export type SeenAge = readonly [age: number, at: number];

export interface EventMemory {
  readonly seen: SeenEvents;
  readonly seenAge?: SeenAge | undefined;
}

export const eventMemory = {
  /** The milliseconds for which an id is remembered at least. A sender repeats an event for a shorter time. */
  ms: 300_000,
  /** The number of newest ranges that are kept at any age. */
  least: 64,
  /** The highest number of ranges. An instance that holds so many young ones refuses further events with an id. */
  most: 4_096,
} as const;

/** The most by which an instance ages between two events. The clock of its next host may be an hour ahead. */
const LONGEST_GAP_MS = 60_000;
const NO_NUMBER = -1;

/** Returns true if the instance has taken an event with this id. */
export function hasSeen({ seen }: EventMemory, id: string): boolean {
  const [prefix, number] = partsOf(id);
  return seen.some((range) =>
    typeof range === "string" ? range === id : range[0] === prefix && range[1] <= number && number <= range[2],
  );
}

/** Returns true if the memory can take one more id without losing one that its sender may still repeat. */
export function hasRoomFor(memory: EventMemory, id: string, at: number): boolean {
  return memory.seen.length < eventMemory.most || remember(memory, id, at).seen.length <= eventMemory.most;
}

/** Returns the memory with one more id, and without those that no sender repeats any longer. */
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

/** Splits an id into the number at its end and the text before it. Joining both gives the id again, so no two ids have the same parts. */
function partsOf(id: string): readonly [prefix: string, number: number] {
  const number = /(?:0|[1-9]\d{0,14})$/.exec(id)?.[0];
  return number === undefined ? [id, NO_NUMBER] : [id.slice(0, -number.length), Number(number)];
}
