import { InvalidError, messageOf } from "@ergon/core";

/** Reads a value in YAML or JSON. Throws `InvalidError` that names the place of the fault. `name` names the source of the text. */
export async function parseYaml(text: Uint8Array, name: string): Promise<unknown> {
  const { parse } = await import("yaml");
  try {
    return parse(Buffer.from(text).toString()) as unknown;
  } catch (cause) {
    throw new InvalidError("INVALID_BODY", `${name} is neither YAML nor JSON: ${messageOf(cause)}`, { cause });
  }
}
