// The files of @scion-scxml/test-framework. As a dependency it would bring a hundred tools of its own, none of which is used here.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const release = "@scion-scxml/test-framework@2.0.16";
const integrity = "sha512-5rRd5CdFLUzmPaO43NSamBmhq6uW/0kUmUneEnqRSbAj0FiFVAINd1DfadUkdECT+xHLARCJZU7meQD4nqYyKw==";
const kept = fileURLToPath(new URL("../../.ergon/scxml-test-framework-2.0.16", import.meta.url));

export type Framework = { readonly folder: string } | { readonly missing: string };

/** Where the framework is; it is brought from the npm registry once. Throws when what the registry has is another one. */
export function bringFramework(): Framework {
  if (existsSync(kept)) return { folder: kept };
  mkdirSync(path.dirname(kept), { recursive: true });
  const scratch = mkdtempSync(`${kept}.`);
  try {
    const packed = run(
      "npm",
      ["pack", release, "--pack-destination", scratch, "--silent", "--fetch-retries=0"],
      scratch,
    );
    if (packed.problem !== undefined) return { missing: `npm pack ${release}: ${packed.problem}` };
    const archive = path.join(scratch, packed.output.trim());
    const found = `sha512-${createHash("sha512").update(readFileSync(archive)).digest("base64")}`;
    if (found !== integrity) throw new Error(`${release}: the registry's archive is another one (${found})`);
    const unpacked = run("tar", ["-xzf", archive, "-C", scratch], scratch);
    if (unpacked.problem !== undefined) return { missing: `tar: ${unpacked.problem}` };
    renameSync(path.join(scratch, "package"), kept);
    return { folder: kept };
  } finally {
    rmSync(scratch, { force: true, recursive: true });
  }
}

function run(program: string, args: readonly string[], cwd: string): { output: string; problem: string | undefined } {
  const { status, stdout, stderr, error } = spawnSync(program, args, { cwd, encoding: "utf8", timeout: 120_000 });
  if (status === 0) return { output: stdout, problem: undefined };
  const said = `${stderr ?? ""}${stdout ?? ""}`.trim().split("\n")[0];
  return { output: "", problem: error?.message ?? (said || `ended with ${status ?? "a signal"}`) };
}
