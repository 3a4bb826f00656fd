import { isErgonError, isUnreachable, messageOf } from "../base/errors.ts";
import type { CommitResult } from "../ports/store.ts";
import { refusalOf } from "./errors.ts";
import { publishStored } from "./keys.ts";
import type { NatsLink } from "./link.ts";

const DATA = Buffer.from("ergon");

/** Writes a scratch key to find out if its bucket takes writes. Never throws. */
export async function probeBucket(link: NatsLink, subject: string): Promise<CommitResult> {
  try {
    const result = await publishStored(link, `write of ${subject}`, subject, DATA, {});
    return result.ok ? { kind: "committed", revision: result.revision } : refusalOf(result.error);
  } catch (error) {
    const message = messageOf(error);
    if (isErgonError(error) && error.code === "NOT_PERMITTED") return { kind: "refused", code: error.code, message };
    return { kind: "unknown", message, disconnected: isUnreachable(error) };
  }
}
