// The agent for the steps of examples/plans/media.yaml. It writes into the folder MEDIA_FOLDER: texts, where a real agent would run ffmpeg.

import { mkdir, readdir, rm, writeFile } from "node:fs/promises";
import path from "node:path";

import { createAgent, TerminalError, type Attempt } from "@ergon/agents";

const media = path.resolve(process.env["MEDIA_FOLDER"] ?? "media");

const work: Readonly<Record<string, (attempt: Attempt) => unknown>> = {
  probe: (attempt) => {
    const { film } = attempt.json<{ film: string }>();
    return { film, seconds: 90, height: 1080 };
  },

  /** Idempotent: a second attempt writes the same file again. */
  transcode: async (attempt) => {
    const { film, seconds, folder, height } = attempt.json<{
      film: string;
      seconds: number;
      folder: string;
      height: number;
    }>();
    const file = path.join(folder, `${height}.txt`);
    await mkdir(path.join(media, folder), { recursive: true });
    for (let percent = 0; percent < 100; percent += 25) {
      attempt.progress({ percent });
      await attempt.sleep(10);
    }
    await writeFile(path.join(media, file), `${film}, ${seconds} seconds, ${height} lines\n`);
    return { file };
  },

  package: async (attempt) => {
    const { folder } = attempt.json<{ folder: string }>();
    if (folder.startsWith("broken")) throw new TerminalError("DISK_FULL", "there is no room for a package");
    return { files: (await readdir(path.join(media, folder))).toSorted() };
  },

  notify: (attempt) => {
    const { to, files } = attempt.json<{ to: string; files: readonly string[] }>();
    return { to, text: `there are ${files.length} films` };
  },

  remove: async (attempt) => {
    const { file } = attempt.json<{ file: string }>();
    await rm(path.join(media, file), { force: true });
  },
};

const agent = createAgent({
  nats: { servers: process.env["NATS_URL"] ?? "nats://127.0.0.1:4222" },
  driver: "media",
  concurrency: 4,
  handler: (attempt) => {
    const step = work[attempt.arguments["do"] ?? ""];
    if (step === undefined)
      throw new TerminalError("UNKNOWN_STEP", `nobody can ${attempt.arguments["do"] ?? "nothing"}`);
    return step(attempt);
  },
});
await agent.start();
console.log("at work on films");
