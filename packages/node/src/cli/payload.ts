import { readFile } from "node:fs/promises";

import { InvalidError } from "@ergon/core";
import { BYTES_TYPE, JSON_TYPE, TEXT_TYPE } from "@ergon/core/engine";

import type { Io } from "./io.ts";

/** Reads a payload from the command line: `-` reads standard input, `@file` reads a file, and any other text is the payload itself. */
export async function readPayload(io: Io, argument: string | undefined): Promise<Uint8Array> {
  if (argument === undefined) return new Uint8Array();
  if (argument === "-") return readStdin(io);
  return argument.startsWith("@") ? readInput(argument.slice(1)) : Buffer.from(argument);
}

/** Reads a JSON value from the source that {@link readPayload} finds. Throws `InvalidError` that names the value as `what`. */
export async function readJson(io: Io, argument: string | undefined, what: string): Promise<unknown> {
  if (argument === undefined) return undefined;
  const data = await readPayload(io, argument);
  try {
    return JSON.parse(Buffer.from(data).toString()) as unknown;
  } catch (cause) {
    throw new InvalidError("INVALID_BODY", `${what}: the value is not JSON; write a text as '"like this"'`, { cause });
  }
}

/** Finds the content type of bytes from their content: a JSON map, list or string, text, or other bytes. */
export function contentTypeOf(data: Uint8Array): string | undefined {
  if (data.length === 0) return undefined;
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(data);
  } catch {
    // The bytes are not UTF-8, so they are neither JSON nor text.
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

/** Tells whether a text looks like a JSON map or list but is not one. */
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

/** Reads all of standard input. On a terminal it says that the command waits for `what`, and how to end the input. */
export async function readStdin({ stdin, stderr }: Io, what = "standard input"): Promise<Uint8Array> {
  if (stdin.isTTY === true)
    stderr.write(`ergon: reading ${what} from this terminal; press Ctrl-D on an empty line to end it\n`);
  const chunks: Uint8Array[] = [];
  for await (const chunk of stdin) chunks.push(typeof chunk === "string" ? Buffer.from(chunk) : chunk);
  return Buffer.concat(chunks);
}
