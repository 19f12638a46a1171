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

/** Variables that hold a secret, by their name: whatever the app's own are called. */
const SECRET_NAME = /SECRET|TOKEN|PASSW|CREDENTIAL|PRIVATE|API_?KEY|ACCESS_?KEY$|AUTH$/i;

/** What is secret wherever it stands: keys of a url's user, of a signed url, of a signed request. */
const SECRET_PLACES: readonly (readonly [RegExp, string])[] = [
  [/(\b[a-z][a-z0-9+.-]*:\/\/)[^\s/@:]*:[^\s/@]+@/gi, `$1${HIDDEN}@`],
  [/(\bX-Amz-(?:Signature|Security-Token|Credential)=)[^\s&"']+/gi, `$1${HIDDEN}`],
  [/(\bauthorization["']?\s*[:=]\s*)\S[^\r\n]*/gi, `$1${HIDDEN}`],
];

/** The values in an environment that must never be told. */
export function secretsOf(environment: NodeJS.ProcessEnv): readonly string[] {
  return Object.entries(environment)
    .filter(([name]) => SECRET_NAME.test(name))
    .flatMap(([, value]) => (value === undefined ? [] : [value]));
}

/** The last thing that happens to a line of ours before it is written. */
export function createRedactor(environment: NodeJS.ProcessEnv): (line: string) => string {
  // The longest first: one that holds another must not be left in pieces.
  const secrets = [...new Set(secretsOf(environment))].sort((left, right) => right.length - left.length);
  return (line) => SECRET_PLACES.reduce((text, [place, shown]) => text.replace(place, shown), redact(line, secrets));
}
