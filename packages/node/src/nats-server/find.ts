import path from "node:path";

import { isExecutable } from "../is-executable.ts";

/** Finds the nats-server binary: the path in `ERGON_NATS_SERVER`, otherwise the first on `PATH`. Returns `undefined` if there is none. */
export function findNatsServer(env: Readonly<Record<string, string | undefined>> = process.env): string | undefined {
  const named = env["ERGON_NATS_SERVER"];
  if (named !== undefined && named !== "") return named;
  const file = process.platform === "win32" ? "nats-server.exe" : "nats-server";
  const folders = (env["PATH"] ?? "").split(path.delimiter).filter((folder) => folder !== "");
  return folders.map((folder) => path.join(folder, file)).find(isExecutable);
}
