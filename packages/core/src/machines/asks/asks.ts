import type { Effect } from "../../actor/state.ts";
import type { Shape } from "../../base/shape.ts";
import type { Ending } from "../command.ts";
import type { Draft } from "../draft.ts";
import type { Message, Tell } from "../tell.ts";
import type { Ask, Heard, Hearing, MessageKind } from "./ask.ts";
import { child, start, type ChildCommand } from "./child.ts";
import { ended } from "./ended.ts";
import { emitted, local, localResult, type EmittedCommand, type EmittedHost } from "./local.ts";
import type { LocalCommand, LocalResult } from "./local.ts";
import { news, send, sent, toParent, type ParentCommand, type SendCommand } from "./send.ts";
import { cancel, stop, stopped, type CancelCommand, type StopCommand } from "./stop.ts";
import { task, taskEnded, type TaskCommand, type TaskEnded, type TaskHost } from "./task.ts";

// These tables list all asks. A new ask is one file beside this one, and a line in each table that applies to it.

/** A request that an actor of a tree makes to the engine during a turn. */
export type Command =
  | TaskCommand
  | ChildCommand
  | StopCommand
  | CancelCommand
  | SendCommand
  | ParentCommand
  | LocalCommand
  | EmittedCommand;

/** The outcome of an ask, as the engine receives it. */
export type HeardEvent = TaskEnded | LocalResult;

/** The methods that asks need of a host of instances. */
export interface AskHost extends TaskHost, EmittedHost {}

const asks: { readonly [C in Command as C["type"]]: Ask<C, AskHost> } = {
  task,
  child,
  stop,
  cancel,
  send,
  parent: toParent,
  local,
  emitted,
};

const heard: { readonly [E in HeardEvent as E["type"]]: Heard<E> } = {
  "ergon.task": taskEnded,
  "ergon.local": localResult,
};

const messages: { readonly [M in Message as M["kind"]]: MessageKind<M> } = {
  start,
  stop: stopped,
  event: sent,
  news,
  ended,
};

/** The shape of each kind of message in a record. */
export const messageShapes: Readonly<Record<string, Shape>> = Object.fromEntries(
  Object.entries(messages).map(([kind, { shape }]) => [kind, shape]),
);

const askOf = (type: string): Ask<Command, AskHost> | undefined => {
  const byType: Readonly<Record<string, Ask<Command, AskHost>>> = asks;
  return byType[type];
};

/** Returns `undefined` for a kind that only newer nodes know. Such a message has no effect. */
const kindOf = (message: Message): MessageKind<Message> | undefined => {
  const byKind: Readonly<Record<string, MessageKind<Message>>> = messages;
  return byKind[message.kind];
};

/** Writes the requests of a turn's actors into the record, and returns those that the host must perform. */
export function note(draft: Draft, commands: readonly Command[]): Effect[] {
  const effects: Effect[] = [];
  for (const command of commands) {
    if (askOf(command.type)?.note?.(draft, command) !== true) effects.push({ type: command.type, params: command });
  }
  return effects;
}

/** Adds the asks to the write that stores them. Returns the effects that wait for that write. */
export function prepareAsks(host: AskHost, effects: readonly Effect[]): Effect[] {
  return effects.filter((effect) => {
    const ask = askOf(effect.type);
    ask?.prepare?.(host, effect.params as Command);
    return ask?.prepare === undefined && ask?.conclude === undefined;
  });
}

/** Runs after {@link prepareAsks} and adds to the same write. Each ask may begin the next turn of the instance. */
export function concludeAsks(host: AskHost, effects: readonly Effect[]): void {
  for (const effect of effects) askOf(effect.type)?.conclude?.(host, effect.params as Command);
}

/** Performs an effect whose ask is stored. Returns true if the effect belongs to an ask. */
export function performAsk(host: AskHost, effect: Effect): boolean {
  const ask = askOf(effect.type);
  ask?.perform?.(host, effect.params as Command);
  return ask !== undefined;
}

/** Performs the asks that every life of an instance repeats. */
export function resumeAsks(host: AskHost, commands: readonly Command[]): void {
  for (const command of commands) {
    const ask = askOf(command.type);
    if (ask?.resumes === true) ask.perform?.(host, command);
  }
}

/** Handles the outcome of an ask. Returns true if the event is one. */
export function hear(hearing: Hearing, event: { readonly type: string }): boolean {
  const byType: Readonly<Record<string, Heard<HeardEvent>>> = heard;
  const kind = byType[event.type];
  kind?.hear(hearing, event as HeardEvent);
  return kind !== undefined;
}

/** The relations of the sender to the instance. One actor may be both parent and child. */
interface Sender {
  readonly isParent: boolean;
  /** True if the sender is the child with the number of the message. */
  readonly isChild: boolean;
}

/** Handles a message of the parent or of a child. */
export function hearMessage(hearing: Hearing, { isParent, isChild }: Sender, message: Message, key: number): void {
  const kind = kindOf(message);
  if (isParent && kind?.fromParent !== undefined) kind.fromParent(hearing, message);
  else if (isChild) kind?.fromChild?.(hearing, message, key);
}

/** Returns the ending that the sender receives for a message that can never be delivered, or `undefined` when the sender receives nothing. */
export function endingWhenLost({ what }: Tell, error: unknown): Ending | undefined {
  return kindOf(what)?.undeliverable?.(error);
}

/** Returns the message to send in place of a refused one, or `undefined` when there is none. */
export function insteadOf(tell: Tell, error: Error): Tell | undefined {
  const what = kindOf(tell.what)?.instead?.(tell.what, error);
  return what === undefined ? undefined : { ...tell, what };
}
