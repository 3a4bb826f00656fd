import { InvalidError, isTerminal, type ActorSummary, type ListReply, type ListRequest } from "@ergon/core";
import { TASK, Faults, isIn, listStatuses, unknownName } from "@ergon/core/engine";

export interface PageItem {
  /** Tells whether the item is listed as live. It is live, or it ended after the list had begun. */
  readonly live: boolean;
  /** The time of the schedule or start, in epoch milliseconds. */
  readonly at: number;
  readonly view: ActorSummary;
}

/** The fields that filters examine. */
export interface Listed {
  /** The machine, absent for a task. */
  readonly machine?: string;
  readonly driver?: string;
  readonly tags?: readonly string[] | undefined;
  readonly correlationId?: string | undefined;
  /** The state value of an instance, and the tags of its states. */
  readonly value?: unknown;
  readonly stateTags?: readonly string[];
}

type Place = readonly [live: 0 | 1, at: number, id: string];

/**
 * The position at which a list continues, and the time at which it began. An actor that ended since then keeps its place, otherwise the list would show
 * it twice or not at all.
 */
interface Cursor {
  readonly after: Place;
  /** The time in epoch milliseconds, absent in a cursor of an older node. */
  readonly begunAt: number | undefined;
}

/** The position before every other. */
const START: Place = [0, Number.MAX_SAFE_INTEGER, ""];

interface Entry {
  readonly item: PageItem;
  readonly place: Place;
  /** The size of the item in a reply. */
  readonly bytes: number;
}

const DEFAULT_LIMIT = 50;
const MOST = 1_000;

/**
 * The first tasks after a cursor in a stable order: live before ended, newest first, ties by id (M-1). It holds as many as the request asks for, if their
 * bytes together do not exceed `mostBytes`. It keeps one page and the task behind it, however many it is offered.
 */
export class Page {
  readonly #request: ListRequest;
  readonly #limit: number;
  readonly #mostBytes: number;
  readonly #cursor: Cursor | undefined;
  /** The entries in order. If those before it fill the page, the last one is not on it, and shows that another page follows. */
  readonly #entries: Entry[] = [];
  #bytes = 0;

  constructor(request: ListRequest, mostBytes: number) {
    this.#request = request;
    this.#limit = request.limit ?? DEFAULT_LIMIT;
    this.#mostBytes = mostBytes;
    this.#cursor = request.cursor === undefined ? undefined : readCursor(request.cursor);
  }

  /** The time at which the list began, in epoch milliseconds, if the request contains it. */
  get begunAt(): number | undefined {
    return this.#cursor?.begunAt;
  }

  /** Tells whether the list shows an actor that ended at `endedAt` as live. */
  standsAmongLive(endedAt: number | undefined): boolean {
    return endedAt === undefined || (this.begunAt !== undefined && endedAt > this.begunAt);
  }

  /** Tells whether an item at this place could be on the page. The check is cheap, so callers do it before they make the item. */
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
    // Two nodes may list a task whose shard moves at this moment.
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

  /** Returns the page and the task behind it, if there is one. A page from several nodes' parts must not pass over a task that one node left out. */
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

  /** A page always holds at least one task, otherwise a list would stop at a large one. */
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

/** Makes a request whose list begins at `now`, unless its list has already begun. All nodes that make the page count from the same moment. */
export function begun(request: ListRequest, now: number): ListRequest {
  return request.cursor === undefined ? { ...request, cursor: encodeCursor({ after: START, begunAt: now }) } : request;
}

function encodeCursor({ after, begunAt }: Cursor): string {
  return Buffer.from(JSON.stringify([...after, begunAt])).toString("base64url");
}

/** Decodes a cursor, or returns `undefined` if the text is not one. */
function readCursor(cursor: string): Cursor | undefined {
  try {
    const [live, at, id, begunAt] = JSON.parse(Buffer.from(cursor, "base64url").toString()) as unknown[];
    if ((live === 0 || live === 1) && typeof at === "number" && typeof id === "string")
      return { after: [live, at, id], begunAt: typeof begunAt === "number" ? begunAt : undefined };
  } catch {
    // The request was checked before, so an invalid cursor counts as none.
  }
  return undefined;
}
