import { isErgonError } from "../../base/errors.ts";
import { byTag, fields, map, type Shape } from "../../base/shape.ts";
import type { Ending } from "../command.ts";
import { forgetChild } from "../draft.ts";
import type { EndedMessage } from "../tell.ts";
import type { MessageKind } from "./ask.ts";

const ending: Shape = byTag("kind", {
  done: map,
  error: map,
} satisfies Record<Ending["kind"], Shape>);

/** The message that reports the end of a durable child to its parent. */
export const ended: MessageKind<EndedMessage> = {
  kind: "ended",
  shape: fields({ ending }),
  fromChild({ at, draft, actors }, message, key) {
    forgetChild(draft, key);
    actors.ended(at, key, message.ending);
  },
  /** Replaces an end whose output is too large for a message with a failure. The parent would otherwise wait for ever. */
  instead(message, error) {
    if (message.ending.kind !== "done") return undefined;
    if (!isErgonError(error) || error.code !== "PAYLOAD_TOO_LARGE") return undefined;
    const text = `the output does not fit into a message to the parent: ${error.message}`;
    const failure = { code: "RESPONSE_TOO_LARGE", message: text, retryable: false };
    return { kind: "ended", ending: { kind: "error", error: failure } };
  },
};
