// The way to a UNIX socket whose path is too long for one.

import { closeSync, constants, openSync } from "node:fs";
import { basename, dirname } from "node:path";

/** Longest path of a UNIX socket, in bytes. Source: unix(7), sun_path, whose last byte is 0 */
const MAX_SOCKET_PATH_BYTES = 107;

export type SocketWay = Disposable & {
  /** A path that leads to the socket, short enough to bind or connect to. Valid until disposed. */
  readonly path: string;
};

/**
 * The path itself where it is short enough; else by way of its directory, which is held open. Throws where that is not
 * there. The name in the directory has to be short.
 */
export function wayToSocket(path: string): SocketWay {
  if (Buffer.byteLength(path) <= MAX_SOCKET_PATH_BYTES) return { path, [Symbol.dispose]: () => {} };
  const directory = openSync(dirname(path), constants.O_RDONLY | constants.O_DIRECTORY);
  return {
    path: `/proc/self/fd/${directory}/${basename(path)}`,
    [Symbol.dispose]: () => closeSync(directory),
  };
}
