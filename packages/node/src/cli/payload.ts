import { readFile } from "node:fs/promises";

import { InvalidError } from "@ergon/core";
import { BYTES_TYPE, JSON_TYPE, TEXT_TYPE } from "@ergon/core/engine";

import type { Io } from "./io.ts";

/** A payload as the command line gives it: `-` reads standard input, `@file` a file, anything else is the payload itself. */
export async function readPayload(io: Io, argument: string | undefined): Promise<Uint8Array> {
  if (argument === undefined) return new Uint8Array();
  if (argument === "-") return readStdin(io);
  return argument.startsWith("@") ? readInput(argument.slice(1)) : Buffer.from(argument);
}

/** A value that the command line gives as JSON, where {@link readPayload} finds it. Throws `InvalidError` that names `what` it is. */
export async function readJson(io: Io, argument: string | undefined, what: string): Promise<unknown> {
  if (argument === undefined) return undefined;
  const data = await readPayload(io, argument);
  try {
    return JSON.parse(Buffer.from(data).toString()) as unknown;
  } catch (cause) {
    throw new InvalidError("INVALID_BODY", `${what}: the value is not JSON; write a text as '"like this"'`, { cause });
  }
}

/** The kind of bytes, judged by their content: a JSON map, list or string; text; or just bytes. */
export function contentTypeOf(data: Uint8Array): string | undefined {
  if (data.length === 0) return undefined;
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(data);
  } catch {
    // Not UTF-8: that is an answer too.
    return BYTES_TYPE;
  }
  if (!/^\s*[[{"]/.test(text)) return TEXT_TYPE;
  try {
    JSON.parse(text);
    return JSON_TYPE;
  } catch {
    return TEXT_TYPE;
  }
}

/** Whether a text was perhaps meant as a JSON map or list, and is none. */
export function isBrokenJson(data: Uint8Array): boolean {
  return contentTypeOf(data) === TEXT_TYPE && /^\s*[[{]/.test(Buffer.from(data).toString());
}

export async function readInput(file: string): Promise<Uint8Array> {
  try {
    return await readFile(file);
  } catch (cause) {
    throw new InvalidError("INVALID_BODY", `${file} cannot be read`, { cause });
  }
}

/** All of standard input. On a terminal it is said that `what` is waited for, and how it ends. */
export async function readStdin({ stdin, stderr }: Io, what = "standard input"): Promise<Uint8Array> {
  if (stdin.isTTY === true)
    stderr.write(`ergon: reading ${what} from this terminal; press Ctrl-D on an empty line to end it\n`);
  const chunks: Uint8Array[] = [];
  for await (const chunk of stdin) chunks.push(typeof chunk === "string" ? Buffer.from(chunk) : chunk);
  return Buffer.concat(chunks);
}
