import path from "node:path";

import { isExecutable } from "../is-executable.ts";

/** The nats-server binary: what `ERGON_NATS_SERVER` names, else the first on `PATH`. `undefined` when there is none. */
export function findNatsServer(env: Readonly<Record<string, string | undefined>> = process.env): string | undefined {
  const named = env["ERGON_NATS_SERVER"];
  if (named !== undefined && named !== "") return named;
  const file = process.platform === "win32" ? "nats-server.exe" : "nats-server";
  const folders = (env["PATH"] ?? "").split(path.delimiter).filter((folder) => folder !== "");
  return folders.map((folder) => path.join(folder, file)).find(isExecutable);
}
