import { isErgonError, messageOf, type ErrorCode } from "@ergon/core";

import { visible, visibleJson } from "../visible.ts";
import type { Io } from "./io.ts";
import { columnsOf, wrapText } from "./wrap.ts";

/** The next step for the user, if the message does not contain it. */
const hints: Partial<Record<ErrorCode, string>> = {
  NATS_UNREACHABLE: 'start one with "ergon dev", or say where it is with --nats or NATS_URL',
  NO_NODE: 'start one with "ergon node" in this namespace, or see --namespace',
  REQUEST_TIMEOUT: 'try again; "ergon nodes" shows who is there',
  TASK_NOT_FOUND: '"ergon ls --all" lists the tasks that are there',
  TASK_ENDED: '"ergon get" shows how it ended',
  TASK_NOT_FAILED: '"ergon get" shows how it stands',
  ID_CONFLICT: "use another --id, or none",
  BATCH_REJECTED: "fix these tasks and submit the batch again",
};

const MOST_ISSUES = 10;

/**
 * Writes an error as a plain line, with a line for each of several faults, or as JSON: the message, its code, and the next step. It shows a stack only
 * with `--debug`.
 */
export function reportError(
  io: Io,
  error: unknown,
  { json, debug }: { readonly json: boolean; readonly debug: boolean },
): void {
  const known = isErgonError(error);
  const code = known ? error.code : "INTERNAL";
  const saysSo = / --[a-z]|wait for it again|under the same event id/.test(messageOf(error));
  const hint = known
    ? saysSo
      ? undefined
      : hints[code as ErrorCode]
    : "this is a fault of Ergon; --debug shows where";
  const message = visible(json ? oneLine(messageOf(error)) : textOf(error));
  if (json) {
    const issues = known && error.issues.length > 0 ? { issues: error.issues } : {};
    const kind = known ? error.kind : "terminal";
    io.stderr.write(
      `${visibleJson(JSON.stringify({ error: code, kind, message, ...issues, ...(hint === undefined ? {} : { hint }) }))}\n`,
    );
  } else {
    const link = message.includes("\n") ? "\n " : /[.?!]$/.test(message) ? "" : ";";
    const text = `ergon: ${code}: ${message}${hint === undefined ? "" : `${link} ${hint}`}`;
    io.stderr.write(`${io.stderr.isTTY === true ? wrapText(text, columnsOf(io.stderr)) : text}\n`);
  }
  if (debug && error instanceof Error) io.stderr.write(`${visible(`${error.stack ?? ""}${causeOf(error)}`)}\n`);
}

/** Returns the message with the faults that it leaves out. A message names only the first fault. A fault of YAML keeps its lines. */
function textOf(error: unknown): string {
  const text = messageOf(error);
  if (error instanceof Error && error.cause instanceof Error && error.cause.name === "YAMLParseError")
    return text.trimEnd();
  if (!isErgonError(error) || !/ \(and \d+ more\)$/.test(text)) return oneLine(text);
  const shown = error.issues
    .slice(0, MOST_ISSUES)
    .map(({ field, message }) => oneLine(message.startsWith(`${field}:`) ? message : `${field}: ${message}`));
  const left = error.issues.length - shown.length;
  const lines = left === 0 ? shown : [...shown, `and ${left} more`];
  return [`${error.issues.length} faults`, ...lines].join("\n  ");
}

function oneLine(text: string): string {
  return text.trim().replace(/\s*\n\s*/g, "; ");
}

function causeOf(error: Error): string {
  return error.cause instanceof Error ? `\ncaused by ${error.cause.stack ?? error.cause.message}` : "";
}
