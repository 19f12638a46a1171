// The guestbook's connection to its database, for the server and for the seed.

import process from "node:process";
import { PrismaBetterSqlite3 } from "@prisma/adapter-better-sqlite3";
import { PrismaClient } from "./generated/client.ts";

/** A client on DATABASE_URL. A relative path counts from the working directory, as Prisma's adapter has it. */
export function openDatabase(): PrismaClient {
  const url = process.env.DATABASE_URL ?? "file:./dev.db";
  return new PrismaClient({ adapter: new PrismaBetterSqlite3({ url }) });
}
