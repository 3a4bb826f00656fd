import { InvalidError, type InstanceEvent } from "@ergon/core";
import { isMap } from "@ergon/core/engine";

import type { Io } from "./io.ts";
import { readJson } from "./payload.ts";

/** Reads an event from the command line: its type, and its other fields as JSON. Throws `InvalidError`. */
export async function readEvent(io: Io, type: string, fields: string | undefined): Promise<InstanceEvent> {
  const more = await readJson(io, fields, "fields");
  if (more === undefined) return { type };
  if (!isMap(more)) throw new InvalidError("INVALID_BODY", 'fields: they must be a JSON object such as {"amount": 5}');
  return { ...more, type };
}
