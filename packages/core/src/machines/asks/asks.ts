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

// The tables of all asks: an ask is one file beside this one, and a line in each table that it belongs to.

/** What an actor of a tree asks of the engine in the course of a turn. */
export type Command =
  | TaskCommand
  | ChildCommand
  | StopCommand
  | CancelCommand
  | SendCommand
  | ParentCommand
  | LocalCommand
  | EmittedCommand;

/** What has come of an ask, as the engine takes it. */
export type HeardEvent = TaskEnded | LocalResult;

/** What a host of instances does for their asks. */
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

/** The shape of each kind of message, as records hold it. */
export const messageShapes: Readonly<Record<Message["kind"], Shape>> = {
  start: start.shape,
  stop: stopped.shape,
  event: sent.shape,
  news: news.shape,
  ended: ended.shape,
};

const askOf = (type: string): Ask<Command, AskHost> | undefined => {
  const byType: Readonly<Record<string, Ask<Command, AskHost>>> = asks;
  return byType[type];
};

/** A newer node may send a kind that this version does not know; nothing follows from it. */
const kindOf = (message: Message): MessageKind<Message> | undefined => {
  const byKind: Readonly<Record<string, MessageKind<Message>>> = messages;
  return byKind[message.kind];
};

/** Notes in the record what the actors of a turn asked for, and returns what is left for the host to do. */
export function note(draft: Draft, commands: readonly Command[]): Effect[] {
  const effects: Effect[] = [];
  for (const command of commands) {
    if (askOf(command.type)?.note?.(draft, command) !== true) effects.push({ type: command.type, params: command });
  }
  return effects;
}

/** Does what belongs into the write that stores the asks. Returns the effects that wait until then. */
export function prepareAsks(host: AskHost, effects: readonly Effect[]): Effect[] {
  return effects.filter((effect) => {
    const ask = askOf(effect.type);
    ask?.prepare?.(host, effect.params as Command);
    return ask?.prepare === undefined && ask?.conclude === undefined;
  });
}

/** Does what must follow {@link prepareAsks} in the same write. Each may begin the next turn of the instance. */
export function concludeAsks(host: AskHost, effects: readonly Effect[]): void {
  for (const effect of effects) askOf(effect.type)?.conclude?.(host, effect.params as Command);
}

/** Does what had to wait until the ask was stored. Returns whether the effect is one of an ask. */
export function performAsk(host: AskHost, effect: Effect): boolean {
  const ask = askOf(effect.type);
  ask?.perform?.(host, effect.params as Command);
  return ask !== undefined;
}

/** Does again, in a new life of an instance, what each life needs. */
export function resumeAsks(host: AskHost, commands: readonly Command[]): void {
  for (const command of commands) {
    const ask = askOf(command.type);
    if (ask?.resumes === true) ask.perform?.(host, command);
  }
}

/** Takes what has come of an ask. Returns whether the event is that. */
export function hear(hearing: Hearing, event: { readonly type: string }): boolean {
  const byType: Readonly<Record<string, Heard<HeardEvent>>> = heard;
  const kind = byType[event.type];
  kind?.hear(hearing, event as HeardEvent);
  return kind !== undefined;
}

/** Who sent a message: one actor may be both. */
interface Sender {
  readonly isParent: boolean;
  /** The child that has the number of the message. */
  readonly isChild: boolean;
}

/** Takes a message of the parent, or of a child. */
export function hearMessage(hearing: Hearing, { isParent, isChild }: Sender, message: Message, key: number): void {
  const kind = kindOf(message);
  if (isParent && kind?.fromParent !== undefined) kind.fromParent(hearing, message);
  else if (isChild) kind?.fromChild?.(hearing, message, key);
}

/** What the sender of a message that nobody will ever take hears of it; `undefined`: nothing. */
export function endingWhenLost({ what }: Tell, error: unknown): Ending | undefined {
  return kindOf(what)?.undeliverable?.(error);
}

/** The message that is sent in place of one that was refused; `undefined`: none. */
export function insteadOf(tell: Tell, error: Error): Tell | undefined {
  const what = kindOf(tell.what)?.instead?.(tell.what, error);
  return what === undefined ? undefined : { ...tell, what };
}
