// A litestream.yml, for who wants one: the bucket's variables, that flysqlite reads anyway, are enough. Pure.
// Source: https://litestream.io/reference/config/

import { posix } from "node:path";
import type { ProjectFacts } from "./facts.ts";

/** The replica is where flysqlite puts it without this file, so that it can be removed again. */
export function makeLitestreamYml({ database }: ProjectFacts, { volume }: { readonly volume: string }): string {
  return `# flysqlite and Litestream read this. \`fly storage create\` sets the variables; each must be set where there is this file.
dbs:
  - path: ${posix.join(volume, database.name)}
    replica:
      type: s3
      endpoint: \${AWS_ENDPOINT_URL_S3}
      bucket: \${BUCKET_NAME}
      path: litestream/${database.name}
      region: \${AWS_REGION}
`;
}
