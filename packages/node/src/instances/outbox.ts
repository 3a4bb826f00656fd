import { UnavailableError, isErgonError, messageOf, type ErgonError } from "@ergon/core";
import {
  H,
  MSGPACK_TYPE,
  decodeError,
  encodeBody,
  insteadOf,
  shardOf,
  isMachineState,
  taskOf,
  type ActorState,
  type Tell,
} from "@ergon/core/engine";

import type { NodeContext } from "../node-context.ts";
import type { LiveActor } from "../shard/actor.ts";
import { plainEndingOf } from "./ending.ts";
import { NewOwners } from "./new-owners.ts";

const TELL_TIMEOUT_MS = 5_000;
const RETRY_MS = 200;
const LONGEST_RETRY_MS = 5_000;
/** The pause before a message to an unreadable record goes out again. The record stays unreadable until somebody deploys or repairs something. */
const UNREADABLE = "TASK_UNREADABLE";
const UNREADABLE_RETRY_MS = 60_000;

/** The messages of one actor to another, in order. The outbox sends a message after the receiver has taken the previous one. */
interface Lane {
  readonly tells: Tell[];
  tries: number;
  /** The numbers of the children whose start the receiver has taken. */
  readonly started: Set<number>;
}

interface Sender {
  /** The number of the last message in any lane. */
  posted: number;
  readonly lanes: Map<string, Lane>;
}

/** The final results of messages, for the host. */
export interface OutboxListener {
  /** The receiver took the message, or never will. The actor does not need the message any more. */
  taken(actor: LiveActor, tell: Tell): void;
  /** The receiver refused the message, and will refuse every repetition. */
  undeliverable(actor: LiveActor, tell: Tell, error: Error): void;
  /**
   * The actor started and stopped a child, and the actor's record may hold both messages. Write the record without them, otherwise they would start the
   * child again after its host has forgotten it.
   */
  spent(actor: LiveActor): void;
  /** An ended actor has no message left to send. */
  empty(actor: LiveActor): void;
  /** The outbox cannot send a message of the actor. */
  broken(actor: LiveActor, error: unknown): void;
}

/** Delivers the messages of durable actors to others. It repeats each message until the receiver has stored the result. */
export class Outbox {
  readonly #context: NodeContext;
  readonly #listener: OutboxListener;
  readonly #senders = new Map<LiveActor, Sender>();
  readonly #newOwners = new NewOwners();

  constructor(context: NodeContext, listener: OutboxListener) {
    this.#context = context;
    this.#listener = listener;
  }

  /** Sends the stored messages of the actor that are not in flight yet. */
  post(actor: LiveActor): void {
    const tells = actor.committed === undefined ? NOTHING : tellsOf(actor.committed);
    if (tells.length === 0) return;
    const sender = this.#senders.get(actor) ?? { posted: 0, lanes: new Map<string, Lane>() };
    this.#senders.set(actor, sender);
    for (const tell of tells) {
      if (tell.seq <= sender.posted) continue;
      sender.posted = tell.seq;
      const lane = sender.lanes.get(tell.to);
      if (lane !== undefined) lane.tells.push(tell);
      else {
        const fresh: Lane = { tells: [tell], tries: 0, started: new Set() };
        sender.lanes.set(tell.to, fresh);
        this.#run(actor, sender, tell.to, fresh).catch((error: unknown) => this.#listener.broken(actor, error));
      }
    }
  }

  /** A shard has a new owner, so the outbox repeats the messages that wait for it at once. */
  owned(shard: number): void {
    this.#newOwners.owned(shard);
  }

  /** Tells whether a receiver has not taken some message of the actor yet. */
  holds(actor: LiveActor): boolean {
    return actor.state !== undefined && tellsOf(actor.state).length > 0;
  }

  /** The actor has left this node. Its next host sends the remaining messages. */
  forget(actor: LiveActor): void {
    this.#senders.delete(actor);
  }

  async #run(actor: LiveActor, sender: Sender, to: string, lane: Lane): Promise<void> {
    for (let tell = lane.tells[0]; tell !== undefined; tell = lane.tells[0]) {
      const error = await this.#deliver(actor, to, tell);
      if (this.#senders.get(actor) !== sender) return;
      if (error !== undefined && isPassing(error)) {
        lane.tries++;
        await this.#pause(to, lane.tries, error);
        if (this.#senders.get(actor) !== sender) return;
        continue;
      }
      const instead = error === undefined ? undefined : insteadOf(tell, error);
      if (instead !== undefined) {
        lane.tells[0] = instead;
        continue;
      }
      lane.tries = 0;
      lane.tells.shift();
      const spent = isSpent(actor, lane, tell);
      this.#listener.taken(actor, tell);
      if (spent) this.#listener.spent(actor);
      if (error !== undefined) this.#listener.undeliverable(actor, tell, error);
    }
    sender.lanes.delete(to);
    if (sender.lanes.size > 0) return;
    this.#senders.delete(actor);
    if (!this.holds(actor)) this.#listener.empty(actor);
  }

  /** Returns the reason why the receiver did not take the message. Gives up a message to an owner that was replaced, so that the new owner gets it. */
  #deliver(actor: LiveActor, to: string, tell: Tell): Promise<Error | undefined> {
    return new Promise((resolve) => {
      const forget = this.#newOwners.when(this.#shardOf(to), () =>
        resolve(new UnavailableError("SHARD_MOVED", `the shard of ${to} has a new owner`)),
      );
      void this.#ask(actor, to, tell).then((outcome) => {
        forget();
        resolve(outcome);
      });
    });
  }

  async #ask(actor: LiveActor, to: string, tell: Tell): Promise<Error | undefined> {
    const { ports, names } = this.#context;
    const subject = names.shard(this.#shardOf(to), "tell", to);
    try {
      const reply = await ports.bus.request(subject, encodeBody({ from: actor.id, tell }, MSGPACK_TYPE), {
        headers: { [H.contentType]: MSGPACK_TYPE },
        timeoutMs: TELL_TIMEOUT_MS,
      });
      return decodeError(reply);
    } catch (error) {
      this.#context.logger.debug(
        { id: actor.id, to, reason: messageOf(error) },
        "a message could not be delivered; it is sent again",
      );
      return error instanceof Error ? error : new Error(messageOf(error));
    }
  }

  /** A new owner of the shard ends the pause. */
  #pause(to: string, tries: number, error: ErgonError): Promise<void> {
    const { clock } = this.#context;
    const longest = error.code === UNREADABLE ? UNREADABLE_RETRY_MS : LONGEST_RETRY_MS;
    return new Promise((resolve) => {
      const timer = clock.after(Math.min(longest, RETRY_MS * 2 ** Math.min(tries, 10)), () => {
        forget();
        resolve();
      });
      const forget = this.#newOwners.when(this.#shardOf(to), () => {
        clock.cancel(timer);
        resolve();
      });
    });
  }

  #shardOf(to: string): number {
    return shardOf(to, this.#context.ports.records.shards);
  }
}

/** Tells whether the receiver may take the same message later. A record that no node can read now, such as one of a missing machine, may take it too. */
function isPassing(error: Error): error is ErgonError {
  return isErgonError(error) && (error.kind === "unavailable" || error.code === UNREADABLE);
}

/** Tells whether the message stops a child whose start is in the same record. */
function isSpent({ committed }: LiveActor, { started }: Lane, { key, what }: Tell): boolean {
  if (what.kind === "start") started.add(key);
  if (what.kind !== "stop" || committed === undefined || !isMachineState(committed)) return false;
  return started.has(key) || committed.meta.outbox.some((other) => other.key === key && other.what.kind === "start");
}

const NOTHING: readonly Tell[] = [];

/** Lists the messages of an actor in this state: the outbox of an instance, or the end of a task for the actor that asked for it. */
function tellsOf(state: ActorState): readonly Tell[] {
  if (isMachineState(state)) return state.meta.outbox;
  const { parent, told } = taskOf(state);
  if (parent === undefined || told === true || state.snapshot.status === "active") return NOTHING;
  return [{ seq: 1, to: parent.id, key: parent.key, what: { kind: "ended", ending: plainEndingOf(taskOf(state)) } }];
}
