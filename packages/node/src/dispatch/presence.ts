import { InvalidError, messageOf, type AgentView, type Clock, type Logger, type Message } from "@ergon/core";
import { H, decodeBody, headerText, isName, isoTime, parseIsoTime } from "@ergon/core/engine";

/** The pause between two log lines about a sender of bad beats, and the number of senders that the node remembers. */
const TELL_AGAIN_MS = 60_000;
const MOST_SENDERS = 100;

/** Reads an agent's beat. Throws `InvalidError`, which names the field at fault. */
function parsePresence(value: unknown): AgentView {
  if (typeof value !== "object" || value === null) throw malformed("it", "a map");
  const { agent, incarnation, drivers, state, running, version, host, pid, startedAt } = value as Record<
    string,
    unknown
  >;
  if (typeof agent !== "string" || !isName(agent)) throw malformed("agent", "a name");
  if (!Array.isArray(drivers)) throw malformed("drivers", "a list");
  if (state !== "here" && state !== "draining" && state !== "gone") throw malformed("state", "here, draining or gone");
  const since = typeof startedAt === "string" ? parseIsoTime(startedAt) : NaN;
  return {
    id: agent,
    ...(typeof incarnation === "string" ? { incarnation: incarnation.slice(0, 64) } : {}),
    drivers: drivers.map(parseDriver),
    state,
    running: typeof running === "number" ? running : 0,
    version: typeof version === "string" ? version.slice(0, 64) : "",
    host: typeof host === "string" ? host.slice(0, 255) : "",
    pid: typeof pid === "number" ? pid : 0,
    ...(Number.isNaN(since) ? {} : { startedAt: isoTime(since) }),
  };
}

function parseDriver(value: unknown, index: number): { readonly name: string; readonly concurrency: number } {
  const { name, concurrency } = (value ?? {}) as Record<string, unknown>;
  if (typeof name !== "string" || !isName(name)) throw malformed(`drivers[${index}].name`, "a name");
  if (typeof concurrency !== "number" || !Number.isInteger(concurrency) || concurrency < 1)
    throw malformed(`drivers[${index}].concurrency`, "a whole number of 1 or more");
  return { name, concurrency };
}

function malformed(field: string, wanted: string): InvalidError {
  return new InvalidError("INVALID_BODY", `${field} must be ${wanted}`);
}

export interface Beat {
  readonly view: AgentView;
  /** This is the last beat of an agent that makes room for a younger one under its id. */
  readonly isReplaced: boolean;
}

/** Reads beats, and logs the unreadable ones once a minute for each sender, by the id that the beat names. */
export class PresenceReader {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #toldAt = new Map<string, number>();

  constructor(clock: Clock, logger: Logger) {
    this.#clock = clock;
    this.#logger = logger;
  }

  /** Returns the beat, or `undefined` if it is unreadable. */
  read(message: Message): Beat | undefined {
    let body: unknown;
    try {
      body = decodeBody(message.data, message.header(H.contentType));
      return { view: parsePresence(body), isReplaced: (body as Record<string, unknown>)["replaced"] === true };
    } catch (error) {
      this.#tell(senderOf(body), messageOf(error));
      return undefined;
    }
  }

  #tell(agent: string, reason: string): void {
    const now = this.#clock.monotonic();
    if (now - (this.#toldAt.get(agent) ?? -Infinity) < TELL_AGAIN_MS) return;
    // Anybody may invent ids, so the node forgets the oldest.
    this.#toldAt.delete(agent);
    for (const oldest of this.#toldAt.keys()) {
      if (this.#toldAt.size < MOST_SENDERS) break;
      this.#toldAt.delete(oldest);
    }
    this.#toldAt.set(agent, now);
    this.#logger.warn({ agent, reason }, "an agent's beat is malformed; the agent gets no work from this node");
  }
}

/** Returns the sender of an unreadable beat, if the beat names it. */
function senderOf(body: unknown): string {
  const { agent } = (typeof body === "object" && body !== null ? body : {}) as Record<string, unknown>;
  return typeof agent === "string" ? headerText(agent.slice(0, 64)) : "";
}
