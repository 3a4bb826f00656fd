import type { Message } from "@ergon/core";
import type { Names } from "@ergon/core/engine";

/**
 * Whether a node answers on the message's reply-to. NATS asks of a sender only whether it may publish on the subject, never on the reply-to: with
 * a reply-to of `$KV.…` or of the nodes' own subjects, whoever may submit would have a node write there, with all that a node may.
 */
export function mayAnswer(names: Names, { reply, subject }: Message): boolean {
  if (reply === undefined) return true;
  if (reply.startsWith("$")) return false;
  if (!reply.startsWith(names.root.slice(0, names.root.indexOf(".") + 1))) return true;
  // Agents hear there that an answer is recorded, and only answers may ask for that.
  return (
    reply.startsWith(names.recorded("", "").slice(0, -1)) &&
    subject.startsWith(`${names.root}.shard.`) &&
    names.parseShard(subject).verb === "reply"
  );
}
