import { InvalidError, isTerminal, type ActorSummary, type ListReply, type ListRequest } from "@ergon/core";
import { TASK, Faults, isIn, listStatuses, unknownName } from "@ergon/core/engine";

export interface PageItem {
  /** Whether it stands among those that live: it does, or it ended after the list had begun. */
  readonly live: boolean;
  /** When it was scheduled or started, epoch milliseconds. */
  readonly at: number;
  readonly view: ActorSummary;
}

/** What filters look at. */
export interface Listed {
  /** Absent: a task. */
  readonly machine?: string;
  readonly driver?: string;
  readonly tags?: readonly string[] | undefined;
  readonly correlationId?: string | undefined;
  /** Of an instance: its state value, and the tags of its states. */
  readonly value?: unknown;
  readonly stateTags?: readonly string[];
}

type Place = readonly [live: 0 | 1, at: number, id: string];

/** Where a list goes on, and when it began: what ended since then keeps its place, or a task would be in the list twice, or not at all. */
interface Cursor {
  readonly after: Place;
  /** Epoch milliseconds; absent in a cursor of an older node. */
  readonly begunAt: number | undefined;
}

/** Before every place. */
const START: Place = [0, Number.MAX_SAFE_INTEGER, ""];

interface Entry {
  readonly item: PageItem;
  readonly place: Place;
  /** As it is in a reply. */
  readonly bytes: number;
}

const DEFAULT_LIMIT = 50;
const MOST = 1_000;

/**
 * The first tasks after a cursor in a stable order: live before ended, newest first, ties by id (M-1). As many as the request asks for, as long
 * as they have no more than `mostBytes` together. Holds one page and the task behind it, however many are offered.
 */
export class Page {
  readonly #request: ListRequest;
  readonly #limit: number;
  readonly #mostBytes: number;
  readonly #cursor: Cursor | undefined;
  /** In order. The last one is not on the page when those before it fill the page: it shows that there is another. */
  readonly #entries: Entry[] = [];
  #bytes = 0;

  constructor(request: ListRequest, mostBytes: number) {
    this.#request = request;
    this.#limit = request.limit ?? DEFAULT_LIMIT;
    this.#mostBytes = mostBytes;
    this.#cursor = request.cursor === undefined ? undefined : readCursor(request.cursor);
  }

  /** When the list began, epoch milliseconds, as far as the request says it. */
  get begunAt(): number | undefined {
    return this.#cursor?.begunAt;
  }

  /** Whether what ended at `endedAt` stands among those that live. */
  standsAmongLive(endedAt: number | undefined): boolean {
    return endedAt === undefined || (this.begunAt !== undefined && endedAt > this.begunAt);
  }

  /** Whether an item at this place could be on the page. Cheap: asked before the item is made. */
  mayTake(live: boolean, at: number, id: string): boolean {
    const place: Place = [live ? 0 : 1, at, id];
    if (this.#cursor !== undefined && compare(place, this.#cursor.after) <= 0) return false;
    const last = this.#entries.at(-1);
    return last === undefined || !this.#hasMore() || compare(place, last.place) < 0;
  }

  wants(actor: Listed, status: string): boolean {
    const { status: wanted, driver, machine, state, tag, correlationId, all } = this.#request;
    return (
      (wanted === undefined || wanted === status) &&
      (all === true || wanted !== undefined || !isTerminal(status)) &&
      (driver === undefined || driver === actor.driver) &&
      (machine === undefined || machine === (actor.machine ?? TASK)) &&
      (state === undefined || (actor.value !== undefined && isIn(actor.value, state))) &&
      (tag === undefined || actor.tags?.includes(tag) === true || actor.stateTags?.includes(tag) === true) &&
      (correlationId === undefined || correlationId === actor.correlationId)
    );
  }

  offer(item: PageItem): void {
    if (!this.mayTake(item.live, item.at, item.view.id)) return;
    const place = placeOf(item);
    let low = 0;
    let high = this.#entries.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const other = this.#entries[middle];
      if (other !== undefined && compare(other.place, place) < 0) low = middle + 1;
      else high = middle;
    }
    const standing = this.#entries[low];
    // Two nodes may tell of a task whose shard moves at this moment.
    if (standing !== undefined && compare(standing.place, place) === 0) return;
    const bytes = Buffer.byteLength(JSON.stringify(item));
    this.#entries.splice(low, 0, { item, place, bytes });
    this.#bytes += bytes;
    for (let last = this.#entries.at(-1); last !== undefined; last = this.#entries.at(-1)) {
      if (!this.#isTooMuch(this.#entries.length - 1, this.#bytes - last.bytes)) break;
      this.#entries.pop();
      this.#bytes -= last.bytes;
    }
  }

  /** The page and, if there is more, the task behind it: a page made of several nodes' must not pass over one that a node left out. */
  items(): readonly PageItem[] {
    return this.#entries.map(({ item }) => item);
  }

  reply(): ListReply {
    const page = this.#hasMore() ? this.#entries.slice(0, -1) : this.#entries;
    const last = page.at(-1);
    const tasks = page.map(({ item }) => item.view);
    return this.#hasMore() && last !== undefined
      ? { tasks, cursor: encodeCursor({ after: last.place, begunAt: this.begunAt }) }
      : { tasks };
  }

  #hasMore(): boolean {
    return this.#isTooMuch(this.#entries.length, this.#bytes);
  }

  /** One task is always a page: or a list would not go on behind a large one. */
  #isTooMuch(count: number, bytes: number): boolean {
    return count > this.#limit || (count > 1 && bytes > this.#mostBytes);
  }
}

const texts: readonly string[] = ["status", "driver", "machine", "state", "tag", "correlationId", "cursor"];
const known: ReadonlySet<string> = new Set([...texts, "all", "limit"]);

/** Checks the body of `list`. Throws `InvalidError` with an issue for each fault. */
export function parseListRequest(body: unknown): ListRequest {
  if (typeof body !== "object" || body === null || Array.isArray(body))
    throw new InvalidError("INVALID_BODY", "the body must be an object");
  const request = body as Record<string, unknown>;
  const faults = new Faults();
  for (const name of Object.keys(request))
    if (!known.has(name)) unknownName(name, name, { kind: "field", names: known, page: "protocol" }, faults);
  for (const name of texts)
    if (request[name] !== undefined && typeof request[name] !== "string")
      faults.add(name, "INVALID_OPTION", "must be a text");
  const { status, limit, all, cursor } = request;
  if (all !== undefined && typeof all !== "boolean") faults.add("all", "INVALID_OPTION", "must be true or false");
  if (typeof status === "string" && !(listStatuses as readonly string[]).includes(status))
    faults.add("status", "INVALID_OPTION", `must be one of ${listStatuses.join(", ")}`);
  if (limit !== undefined && !(typeof limit === "number" && Number.isInteger(limit) && limit >= 1 && limit <= MOST))
    faults.add("limit", "INVALID_OPTION", `must be a whole number from 1 to ${MOST}`);
  if (typeof cursor === "string" && readCursor(cursor) === undefined)
    faults.add("cursor", "INVALID_OPTION", "is not one that a list reply gave");
  faults.throwIfAny();
  return request as ListRequest;
}

function placeOf({ live, at, view }: PageItem): Place {
  return [live ? 0 : 1, at, view.id];
}

function compare(a: Place, b: Place): number {
  return a[0] - b[0] || b[1] - a[1] || (a[2] < b[2] ? -1 : a[2] > b[2] ? 1 : 0);
}

/** A request whose list begins at `now`, unless its list has begun already. All nodes that make the page count from the same moment. */
export function begun(request: ListRequest, now: number): ListRequest {
  return request.cursor === undefined ? { ...request, cursor: encodeCursor({ after: START, begunAt: now }) } : request;
}

function encodeCursor({ after, begunAt }: Cursor): string {
  return Buffer.from(JSON.stringify([...after, begunAt])).toString("base64url");
}

/** `undefined`: it is not a cursor. */
function readCursor(cursor: string): Cursor | undefined {
  try {
    const [live, at, id, begunAt] = JSON.parse(Buffer.from(cursor, "base64url").toString()) as unknown[];
    if ((live === 0 || live === 1) && typeof at === "number" && typeof id === "string")
      return { after: [live, at, id], begunAt: typeof begunAt === "number" ? begunAt : undefined };
  } catch {
    // The request was checked for it; what is no cursor is none.
  }
  return undefined;
}
