import type { Message } from "@ergon/core";
import type { Names } from "@ergon/core/engine";

/**
 * Tells whether a node may answer on the message's reply-to. NATS checks only whether a sender may publish on the subject, and does not check the reply-to.
 * With a reply-to of `$KV.…` or of the nodes' own subjects, a client with submit permission could make a node write there with all permissions of the node.
 */
export function mayAnswer(names: Names, { reply, subject }: Message): boolean {
  if (reply === undefined) return true;
  if (reply.startsWith("$")) return false;
  if (!reply.startsWith(names.root.slice(0, names.root.indexOf(".") + 1))) return true;
  // Agents hear there that the node has recorded an answer, and only answers may request that.
  return (
    reply.startsWith(names.recorded("", "").slice(0, -1)) &&
    subject.startsWith(`${names.root}.shard.`) &&
    names.parseShard(subject).verb === "reply"
  );
}
