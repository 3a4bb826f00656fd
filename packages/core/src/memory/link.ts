import type { Clock, TimerHandle } from "../base/clock.ts";
import { UnavailableError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { BusStatus } from "../ports/bus.ts";
import type { Broker } from "./broker.ts";
import { Hop } from "./hop.ts";
import type { Road } from "./hop.ts";
import type { Interest, Party } from "./letter.ts";

interface Call {
  fail(error: UnavailableError): void;
}

/** A process's connection. It has two directions, and each keeps its order. */
export class Link implements Party {
  readonly broker: Broker;
  readonly name: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** The direction to the broker. */
  readonly outbound: Hop;
  /** The direction to the process. */
  readonly inbound: Hop;
  /** The milliseconds between process and broker in each direction, in addition to the latency of the network. */
  distanceMs = 0;
  /** Subjects to which the process may not publish. */
  readonly denied: Set<string> = new Set();
  status: BusStatus = "connected";
  readonly #statusHandlers: ((status: BusStatus) => void)[] = [];
  readonly #refusalHandlers: ((subject: string) => void)[] = [];
  readonly #calls: Set<Call> = new Set();
  readonly #interests: Set<Interest> = new Set();
  #dead = false;

  constructor(broker: Broker, name: string, clock: Clock, logger: Logger) {
    this.broker = broker;
    this.name = name;
    this.clock = clock;
    this.logger = logger;
    const road: Road = { clock: broker.clock, latency: () => broker.latency() + this.distanceMs };
    this.outbound = new Hop(road);
    this.inbound = new Hop(road);
  }

  onStatus(handler: (status: BusStatus) => void): void {
    this.#statusHandlers.push(handler);
  }

  /** Stops the server. Nothing passes in either direction. */
  hold(reason: string): void {
    this.outbound.pause(reason);
    this.inbound.pause(reason);
  }

  letGo(reason: string): void {
    this.outbound.resume(reason);
    this.inbound.resume(reason);
  }

  onRefused(handler: (subject: string) => void): void {
    this.#refusalHandlers.push(handler);
  }

  /** Reports that the server refuses messages of this process to the subject. */
  refuse(subject: string): void {
    this.inbound.send(() => {
      for (const handler of this.#refusalHandlers) handler(subject);
    });
  }

  /** Sends towards the broker. Nothing happens when the connection is gone. */
  send(run: () => void): void {
    if (this.status === "connected" && !this.#dead) this.outbound.send(run);
  }

  addInterest(interest: Interest): void {
    this.#interests.add(interest);
    this.send(() => this.broker.interests.add(interest.subject, interest));
  }

  removeInterest(interest: Interest): void {
    this.#interests.delete(interest);
    this.send(() => this.broker.interests.remove(interest.subject, interest));
  }

  /** Runs `run` at the broker and returns its result over the network. With `asks`, a commit may be lost, and a write needs a quorum. */
  call<T>(run: () => T, asks: "read" | "write" | "commit" = "read"): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.status !== "connected") {
        reject(unreachable());
        return;
      }
      let timer: TimerHandle;
      const call: Call = {
        fail: (error) => {
          this.clock.cancel(timer);
          this.#calls.delete(call);
          reject(error);
        },
      };
      timer = this.clock.after(this.broker.answerTimeoutMs, () => {
        call.fail(new UnavailableError("STORE_UNAVAILABLE", `no answer within ${this.broker.answerTimeoutMs} ms`));
      });
      this.#calls.add(call);
      this.send(() => {
        if (asks !== "read" && this.broker.storage === "silent") return;
        if (asks === "commit" && this.broker.strikes("loseCommit")) return;
        const result = run();
        if (asks === "commit" && this.broker.strikes("loseAcknowledgement")) return;
        this.inbound.send(() => {
          if (!this.#calls.delete(call)) return;
          this.clock.cancel(timer);
          resolve(result);
        });
      });
    });
  }

  disconnect(): void {
    if (this.status !== "connected") return;
    this.#lose();
    this.#become("disconnected");
    this.#failCalls();
  }

  reconnect(): void {
    if (this.status !== "disconnected" || this.#dead) return;
    this.status = "connected";
    for (const interest of this.#interests) this.addInterest(interest);
    this.#become("connected");
  }

  close(): void {
    if (this.status === "closed") return;
    if (this.status === "connected") this.#lose();
    this.#become("closed");
    this.#failCalls();
  }

  die(): void {
    if (this.#dead) return;
    this.#lose();
    this.#dead = true;
  }

  vanish(): void {
    if (this.#dead) return;
    this.#dead = true;
    this.inbound.cut();
    this.broker.clock.after(this.broker.staleAfterMs, () => this.#forget([...this.#interests]));
  }

  /** Drops the messages in transit to the process. The messages that the process has sent arrive, and then the broker forgets the process. */
  #lose(): void {
    this.inbound.cut();
    const gone = [...this.#interests];
    this.outbound.send(() => this.#forget(gone));
  }

  #forget(interests: readonly Interest[]): void {
    for (const interest of interests) this.broker.interests.remove(interest.subject, interest);
  }

  #become(status: BusStatus): void {
    this.status = status;
    if (status === "connected") this.inbound.open();
    for (const handler of this.#statusHandlers) handler(status);
  }

  #failCalls(): void {
    for (const call of this.#calls) call.fail(unreachable());
  }
}

export function unreachable(): UnavailableError {
  return new UnavailableError("NATS_UNREACHABLE", "the connection to NATS is lost; the client reconnects by itself");
}
