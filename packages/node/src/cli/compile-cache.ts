import { enableCompileCache } from "node:module";
import { userInfo } from "node:os";
import path from "node:path";

/**
 * Keeps the compiled form of every module in the user's cache folder, so that the next command need not compile it again. Node ties each entry to
 * the content of its module. A folder that cannot be written leaves the command slower, and otherwise as it is.
 */
export function useCompileCache(env: NodeJS.ProcessEnv): void {
  const folder = cacheFolder(env);
  if (env["NODE_COMPILE_CACHE"] === undefined && folder !== undefined)
    enableCompileCache(path.join(folder, "ergon", "compile-cache"));
}

/** A folder of this user alone: another user could put code into a cache in a shared one. */
function cacheFolder({ XDG_CACHE_HOME: told }: NodeJS.ProcessEnv): string | undefined {
  if (told !== undefined && path.isAbsolute(told)) return told;
  try {
    // Not $HOME: under sudo that may be the folder of another user, who could not write there afterwards.
    const { homedir } = userInfo();
    return path.join(homedir, process.platform === "darwin" ? "Library/Caches" : ".cache");
  } catch {
    return undefined;
  }
}
