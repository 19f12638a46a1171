// The first entries of a new guestbook. Run by `prisma db seed`, or by flysqlite after the first migration.
// SEED_FAIL=1 makes it fail after its first row, as a seed that is cut off would.

import process from "node:process";
import { openDatabase } from "../database.ts";

const database = openDatabase();
try {
  await database.entry.create({ data: { text: "Welcome!", mood: "loud", author: { create: { name: "host" } } } });
  if (process.env.SEED_FAIL === "1") throw new Error("SEED_FAIL is set");
  await database.entry.create({ data: { text: "Sign here, please", author: { connect: { name: "host" } } } });
  console.log("seeded 2 entries");
} finally {
  await database.$disconnect();
}
