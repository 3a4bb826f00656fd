import { InvalidError, messageOf } from "@ergon/core";

/** A value in YAML or JSON. Throws `InvalidError` that says where it is neither; `name` says what holds it. */
export async function parseYaml(text: Uint8Array, name: string): Promise<unknown> {
  const { parse } = await import("yaml");
  try {
    return parse(Buffer.from(text).toString()) as unknown;
  } catch (cause) {
    throw new InvalidError("INVALID_BODY", `${name} is neither YAML nor JSON: ${messageOf(cause)}`, { cause });
  }
}
