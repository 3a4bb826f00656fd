import { UnavailableError, type Clock, type Message } from "@ergon/core";

import type { WaitingMessages } from "./waiting-messages.ts";

/** The time that the steps of instances may take before the network and the timers get their turn, because the author of a machine writes its code. */
const TURN_MS = 10;
/** A pause of this length shows that the network had its turn. */
const REST_MS = 2;
/** The most messages that wait for one instance. Their senders ask again. */
const MOST_WAITING = 5_000;

/**
 * The verbs whose messages wait for their turn, because they make an instance take a step. A question, a cancel and an end do not wait behind a burst of
 * events.
 */
export const inTurn: ReadonlySet<string> = new Set(["send", "can", "tell", "begin", "migrate"]);

interface Waiting {
  readonly message: Message;
  readonly run: (message: Message) => void | Promise<void>;
  readonly resolve: (served: void | Promise<void>) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Serves the messages of instances in turn. As long as steps are quick, the node serves each message when it comes. After 10 ms of steps new messages wait,
 * the node serves one message of each instance after the other, and the event loop runs every 10 ms. So a burst at one instance with a slow guard holds up no
 * other instance, and no session.
 */
export class Turns {
  readonly #clock: Clock;
  readonly #waiting: WaitingMessages;
  readonly #lanes = new Map<string, Waiting[]>();
  #spent = 0;
  #restedAt = 0;
  #scheduled = false;

  constructor(clock: Clock, waiting: WaitingMessages) {
    this.#clock = clock;
    this.#waiting = waiting;
  }

  /**
   * Serves a message for an instance, at once or in its turn. Throws the errors of `run`, and `UnavailableError` (`OVERLOADED`) if too many messages
   * wait.
   */
  run(id: string, message: Message, run: Waiting["run"]): void | Promise<void> {
    if (this.#lanes.size === 0 && this.#hasTime()) return this.#timed(() => run(message));
    const lane = this.#lanes.get(id) ?? [];
    if (lane.length >= MOST_WAITING)
      throw new UnavailableError(
        "OVERLOADED",
        `${MOST_WAITING} messages for ${id} wait to be served; send the request again later`,
        {
          retryAfterMs: 500,
        },
      );
    const copy = this.#waiting.enter(message);
    this.#lanes.set(id, lane);
    this.#schedule();
    return new Promise<void>((resolve, reject) => {
      lane.push({ message: copy, run, resolve, reject });
    });
  }

  #hasTime(): boolean {
    if (this.#clock.monotonic() - this.#restedAt > REST_MS) this.#spent = 0;
    return this.#spent < TURN_MS;
  }

  #timed<T>(run: () => T): T {
    const begin = this.#clock.monotonic();
    try {
      return run();
    } finally {
      this.#restedAt = this.#clock.monotonic();
      this.#spent += this.#restedAt - begin;
    }
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#clock.after(0, () => this.#turn());
  }

  #turn(): void {
    this.#scheduled = false;
    this.#spent = 0;
    for (let [next] = this.#lanes; next !== undefined && this.#spent < TURN_MS; [next] = this.#lanes) {
      const [id, lane] = next;
      const waiting = lane.shift();
      // An instance with more messages moves to the end of the round.
      this.#lanes.delete(id);
      if (lane.length > 0) this.#lanes.set(id, lane);
      if (waiting !== undefined) this.#serve(waiting);
    }
    if (this.#lanes.size > 0) this.#schedule();
  }

  #serve({ message, run, resolve, reject }: Waiting): void {
    this.#waiting.leave(message);
    try {
      resolve(this.#timed(() => run(message)));
    } catch (error) {
      reject(error);
    }
  }
}
