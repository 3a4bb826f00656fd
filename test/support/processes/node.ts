import { createNode, type NodeOptions } from "@ergon/node";

// A node as a process of its own: options in, readiness out, gone with whoever started it.
process.once("disconnect", () => process.exit(1));
const node = await createNode(JSON.parse(process.argv[2] ?? "{}") as NodeOptions);
process.once("SIGTERM", () => {
  void node.stop().then(() => process.exit(0));
});
process.send?.({ id: node.id });
