import {
  InvalidError,
  isTerminal,
  type ListReply,
  type ListRequest,
  type TaskContext,
  type TaskView,
} from "@ergon/core";

export interface PageItem {
  readonly live: boolean;
  /** When it was scheduled, epoch milliseconds. */
  readonly at: number;
  readonly view: TaskView;
}

type Place = readonly [live: 0 | 1, at: number, id: string];

const DEFAULT_LIMIT = 50;
const MOST = 1_000;

/** The first tasks after a cursor in a stable order: live before ended, newest first, ties by id (M-1). Holds one page, however many are offered. */
export class Page {
  readonly #request: ListRequest;
  readonly #limit: number;
  readonly #after: Place | undefined;
  #items: PageItem[] = [];
  #more = false;

  constructor(request: ListRequest) {
    this.#request = request;
    this.#limit = request.limit ?? DEFAULT_LIMIT;
    this.#after = request.cursor === undefined ? undefined : parseCursor(request.cursor);
  }

  /** Whether an item at this place could be on the page. Cheap: asked before the item is made. */
  mayTake(live: boolean, at: number, id: string): boolean {
    const place: Place = [live ? 0 : 1, at, id];
    if (this.#after !== undefined && compare(place, this.#after) <= 0) return false;
    const last = this.#items.at(-1);
    if (this.#items.length < this.#limit || last === undefined) return true;
    if (compare(place, placeOf(last)) < 0) return true;
    this.#more = true;
    return false;
  }

  wants(task: TaskContext, status: string): boolean {
    const { status: wanted, driver, tag, correlationId, all } = this.#request;
    return (
      (wanted === undefined || wanted === status) &&
      (all === true || wanted !== undefined || !isTerminal(status)) &&
      (driver === undefined || driver === task.driver) &&
      (tag === undefined || task.tags?.includes(tag) === true) &&
      (correlationId === undefined || correlationId === task.correlationId)
    );
  }

  offer(item: PageItem): void {
    if (!this.mayTake(item.live, item.at, item.view.id)) return;
    const place = placeOf(item);
    let low = 0;
    let high = this.#items.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const other = this.#items[middle];
      if (other !== undefined && compare(placeOf(other), place) < 0) low = middle + 1;
      else high = middle;
    }
    const standing = this.#items[low];
    // Two nodes may tell of a task whose shard moves at this moment.
    if (standing !== undefined && compare(placeOf(standing), place) === 0) return;
    this.#items.splice(low, 0, item);
    if (this.#items.length > this.#limit) {
      this.#items.pop();
      this.#more = true;
    }
  }

  /** One item more than fits would be lost between nodes: each sends a full page, and the merged page knows that there is more. */
  items(): readonly PageItem[] {
    return this.#items;
  }

  reply(): ListReply {
    const last = this.#items.at(-1);
    const tasks = this.#items.map(({ view }) => view);
    return (this.#more || tasks.length === this.#limit) && last !== undefined
      ? { tasks, cursor: encodeCursor(placeOf(last)) }
      : { tasks };
  }
}

/** Checks the body of `list`. Throws `InvalidError` naming the field. */
export function parseListRequest(body: unknown): ListRequest {
  if (typeof body !== "object" || body === null || Array.isArray(body))
    throw new InvalidError("INVALID_BODY", "the body must be an object");
  const request = body as Record<string, unknown>;
  for (const name of Object.keys(request)) {
    if (!["status", "driver", "tag", "correlationId", "all", "limit", "cursor"].includes(name))
      throw invalid(name, "is not known", "UNKNOWN_OPTION");
  }
  for (const name of ["status", "driver", "tag", "correlationId", "cursor"]) {
    if (request[name] !== undefined && typeof request[name] !== "string") throw invalid(name, "must be a text");
  }
  if (request["all"] !== undefined && typeof request["all"] !== "boolean")
    throw invalid("all", "must be true or false");
  const { limit } = request;
  if (limit !== undefined && !(typeof limit === "number" && Number.isInteger(limit) && limit >= 1 && limit <= MOST))
    throw invalid("limit", `must be a whole number from 1 to ${MOST}`);
  return request as ListRequest;
}

function invalid(
  field: string,
  fault: string,
  code: "INVALID_OPTION" | "UNKNOWN_OPTION" = "INVALID_OPTION",
): InvalidError {
  const message = `${field}: ${fault}`;
  return new InvalidError(code, message, { issues: [{ field, code, message }] });
}

function placeOf({ live, at, view }: PageItem): Place {
  return [live ? 0 : 1, at, view.id];
}

function compare(a: Place, b: Place): number {
  return a[0] - b[0] || b[1] - a[1] || (a[2] < b[2] ? -1 : a[2] > b[2] ? 1 : 0);
}

function encodeCursor(place: Place): string {
  return Buffer.from(JSON.stringify(place)).toString("base64url");
}

function parseCursor(cursor: string): Place {
  try {
    const [live, at, id] = JSON.parse(Buffer.from(cursor, "base64url").toString()) as unknown[];
    if ((live === 0 || live === 1) && typeof at === "number" && typeof id === "string") return [live, at, id];
  } catch {
    // Said below, with what is wrong.
  }
  throw invalid("cursor", "is not one that a list reply gave");
}
