import type { EventObject } from "xstate";

import type { Shape } from "../../base/shape.ts";
import type { Ending } from "../command.ts";
import type { Draft } from "../draft.ts";
import type { Message } from "../tell.ts";

/**
 * Something that an actor of an instance can ask the engine for, from the turn that asks to the answer. `C` is what the actor asks with. `H` is what the
 * ask needs of the host of the instance: a node is one, and the world of the testing kit is another.
 */
export interface Ask<C extends { readonly type: string }, H = object> {
  readonly type: C["type"];
  /** Notes the ask in the record. Returns whether the record has it all; otherwise the host does what is left. */
  note?(draft: Draft, command: C): boolean;
  /** Does what belongs into the write that stores the ask. */
  prepare?(host: H, command: C): void;
  /** The same, after each ask of the turn is prepared: it may end something at once, and so begin the next turn. */
  conclude?(host: H, command: C): void;
  /** Does what must wait until the ask is stored. */
  perform?(host: H, command: C): void;
  /** Whether the ask is performed again in each life of the instance. */
  readonly resumes?: boolean;
}

/** An event of the engine that tells an instance what has come of an ask. */
export interface Heard<E extends { readonly type: string }> {
  readonly type: E["type"];
  hear(hearing: Hearing, event: E): void;
}

/** A kind of message from one durable actor to another. */
export interface MessageKind<M extends Message> {
  readonly kind: M["kind"];
  /** The shape of the stored message. */
  readonly shape: Shape;
  /** What a child does when its parent tells it so; absent: nothing. */
  fromParent?(hearing: Hearing, message: M): void;
  /** What a parent does when its child with this number tells it so; absent: nothing. */
  fromChild?(hearing: Hearing, message: M, key: number): void;
  /** What the actor that sent it hears when nobody will ever take it; absent: nothing. */
  undeliverable?(error: unknown): Ending;
  /** What is sent in its place when it was refused; `undefined`: nothing is. */
  instead?(message: M, error: Error): M | undefined;
}

/** The instance that hears something, and the record that is made of it. */
export interface Hearing {
  readonly at: number;
  readonly draft: Draft;
  readonly actors: Actors;
  /** Cancels the instance: its machine decides what follows, or it is stopped. */
  cancel(reason: string): void;
}

/** The actors of an instance. */
interface Actors {
  turn(at: number, run: () => void): void;
  send(at: number, event: EventObject): void;
  ended(at: number, key: number, ending: Ending): void;
  news(at: number, key: number, fields: Readonly<Record<string, unknown>>): void;
  fromChild(at: number, key: number, event: EventObject): void;
}
