import type { EventObject } from "xstate";

import type { Shape } from "../../base/shape.ts";
import type { Ending } from "../command.ts";
import type { Draft } from "../draft.ts";
import type { Message } from "../tell.ts";

/**
 * A request of an instance's actor to the engine, from the turn that makes it to its answer. `C` is the command that the actor passes. `H` is the
 * part of the host that the ask needs; a node is a host, and the world of the testing kit is another.
 */
export interface Ask<C extends { readonly type: string }, H = object> {
  readonly type: C["type"];
  /** Writes the ask into the record. Returns true when the record holds all of it, otherwise the host performs the rest. */
  note?(draft: Draft, command: C): boolean;
  /** Adds to the write that stores the ask. */
  prepare?(host: H, command: C): void;
  /** Adds to the same write after every ask of the turn has been prepared. It may end something at once, and so begin the next turn. */
  conclude?(host: H, command: C): void;
  /** Acts after the ask is stored. */
  perform?(host: H, command: C): void;
  /** True if each life of the instance performs the ask again. */
  readonly resumes?: boolean;
}

/** An event with which the engine reports the outcome of an ask to its instance. */
export interface Heard<E extends { readonly type: string }> {
  readonly type: E["type"];
  hear(hearing: Hearing, event: E): void;
}

/** A kind of message from one durable actor to another. */
export interface MessageKind<M extends Message> {
  readonly kind: M["kind"];
  /** The shape of the stored message. */
  readonly shape: Shape;
  /** Handles the message in a child whose parent sent it. A child ignores a kind without this method. */
  fromParent?(hearing: Hearing, message: M): void;
  /** Handles the message in the parent of the child with this number. A parent ignores a kind without this method. */
  fromChild?(hearing: Hearing, message: M, key: number): void;
  /** Returns the ending that the sending actor receives when the message can never be delivered. A kind without this method reports nothing. */
  undeliverable?(error: unknown): Ending;
  /** Returns the message to send in place of a refused one, or `undefined` to send none. */
  instead?(message: M, error: Error): M | undefined;
}

/** The instance that receives an event or a message, and the draft of its next record. */
export interface Hearing {
  readonly at: number;
  readonly draft: Draft;
  readonly actors: Actors;
  /** Cancels the instance. A machine that takes the cancel as an event decides what follows, otherwise the instance stops. */
  cancel(reason: string): void;
}

interface Actors {
  turn(at: number, run: () => void): void;
  send(at: number, event: EventObject): void;
  ended(at: number, key: number, ending: Ending): void;
  news(at: number, key: number, fields: Readonly<Record<string, unknown>>): void;
  fromChild(at: number, key: number, event: EventObject): void;
}
