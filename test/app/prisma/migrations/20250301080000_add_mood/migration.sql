-- AlterTable
ALTER TABLE "Entry" ADD COLUMN     "mood" TEXT NOT NULL DEFAULT 'calm';

-- CreateIndex
CREATE INDEX "Entry_createdAt_idx" ON "Entry"("createdAt");

-- Whoever wrote an exclamation mark was not calm.
UPDATE "Entry" SET "mood" = 'loud' WHERE "text" LIKE '%!%';
