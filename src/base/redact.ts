// Secrets, kept out of what is told.

/** Stands for a secret. */
const HIDDEN = "***";

/** Too short to be searched for: it would hide half of a text. */
const MIN_SECRET_LENGTH = 8;

/** `text` without any of `secrets`, also where they are percent-encoded. */
export function redact(text: string, secrets: readonly (string | undefined)[]): string {
  let shown = text;
  for (const secret of secrets) {
    if (secret === undefined || secret.length < MIN_SECRET_LENGTH) continue;
    shown = shown.replaceAll(secret, HIDDEN).replaceAll(encodeURIComponent(secret), HIDDEN);
  }
  return shown;
}

/** A key's id as it may be told: "…WXYZ". Ids are no secrets, but no one should have to prove that. */
export function lastFour(keyId: string): string {
  return keyId.length < MIN_SECRET_LENGTH ? HIDDEN : `…${keyId.slice(-4)}`;
}
