import type { ChildSpec, Ending, StoredEvent } from "./command.ts";

/** A message from one durable actor to another, kept until the other has stored what follows from it. */
export interface Tell {
  /** Grows by one with each message of the sender: what makes a repeated one known. */
  readonly seq: number;
  /** An actor's id. */
  readonly to: string;
  /** The parent's number of the child that the message goes to, or comes from. */
  readonly key: number;
  readonly what: Message;
}

/** What durable actors tell each other. `asks/` has a file for each. */
export type Message = StartMessage | StopMessage | EventMessage | NewsMessage | EndedMessage;

/** To a child that does not exist yet. */
export interface StartMessage {
  readonly kind: "start";
  readonly child: ChildSpec;
}

/** To a child that is to be cancelled. */
export interface StopMessage {
  readonly kind: "stop";
  readonly reason: string;
}

/** To a child or to the parent. */
export interface EventMessage {
  readonly kind: "event";
  readonly event: StoredEvent;
}

/** To the parent: the state of a child that is followed. */
export interface NewsMessage {
  readonly kind: "news";
  readonly fields: Readonly<Record<string, unknown>>;
}

/** To the parent. */
export interface EndedMessage {
  readonly kind: "ended";
  readonly ending: Ending;
}
