import { messageOf } from "@ergon/core";
import { H, decodeBody } from "@ergon/core/engine";

import type { NodeContext } from "../node-context.ts";

const NODE_TIMEOUT_MS = 5_000;

/** Asks another node for its part of an answer. Returns `undefined` if the part does not come in time. */
export async function askNode<T>(
  { ports, names, logger }: NodeContext,
  node: string,
  verb: string,
  body: Uint8Array,
): Promise<T | undefined> {
  try {
    const reply = await ports.bus.request(names.nodeVerb(node, verb), body, { timeoutMs: NODE_TIMEOUT_MS });
    return decodeBody(reply.data, reply.header(H.contentType)) as T;
  } catch (error) {
    logger.warn({ node, verb, reason: messageOf(error) }, "a node did not answer; the reply lacks its part");
    return undefined;
  }
}
