/** A node that holds credits of a driver, or waits for some. */
export interface Holder {
  readonly node: string;
  /** Credits that are this node's, idle or in use. */
  reserved: number;
  /** The credits in use: attempts that run for the node. */
  running: number;
  /** The credits that the node asked for and did not get. */
  demand: number;
  /** The highest priority of the waiting work, from the node's last message. */
  priority: number;
  /** The node's place in the line: a lower number came first. */
  place: number;
  /** Recalled credits that the node has not given back. */
  recalled: number;
  /** The node is gone: each of its credits is free once it is idle. */
  gone: boolean;
  /** The fewest idle credits since the last review, and the number of successive reviews that found some although the node waits, or was asked for some. */
  leastIdle: number;
  idleReviews: number;
}

/** The node whose turn it is: the highest priority first, then the fewest credits, then the longest wait. */
export function nextInLine(holders: Iterable<Holder>): Holder | undefined {
  let next: Holder | undefined;
  for (const holder of holders) if (holder.demand > 0 && (next === undefined || isBefore(holder, next))) next = holder;
  return next;
}

/**
 * How many credits to recall from each node, beside those already recalled. A waiting node gets its fair share from nodes that hold more,
 * and all that it asks for from nodes with less urgent work. A returned credit goes to the node whose turn it is then.
 */
export function owed(holders: readonly Holder[], slots: number): ReadonlyMap<Holder, number> {
  const living = holders.filter(({ gone }) => !gone);
  const fair = Math.floor(slots / Math.max(1, living.length));
  const asked = new Map<Holder, number>();
  const left = (holder: Holder): number => holder.reserved - holder.recalled - (asked.get(holder) ?? 0);
  let coming = living.reduce((sum, { recalled }) => sum + recalled, 0);
  const line = living.filter(({ demand }) => demand > 0).toSorted((a, b) => (isBefore(a, b) ? -1 : 1));
  for (const waiting of line) {
    let got = Math.min(coming, waiting.demand);
    coming -= got;
    for (const giver of living.toSorted((a, b) => left(b) - left(a))) {
      if (giver === waiting) continue;
      const isMoreUrgent = waiting.priority > giver.priority;
      const most = isMoreUrgent
        ? left(giver)
        : Math.min(left(giver) - fair, Math.max(1, fair) - waiting.reserved - got);
      const count = Math.min(most, waiting.demand - got);
      if (count <= 0) continue;
      asked.set(giver, (asked.get(giver) ?? 0) + count);
      got += count;
    }
  }
  return asked;
}

function isBefore(a: Holder, b: Holder): boolean {
  if (a.priority !== b.priority) return a.priority > b.priority;
  return a.reserved === b.reserved ? a.place < b.place : a.reserved < b.reserved;
}
