// The command line that does what a view does.

/**
 * The words of a command with its options. Options without a value are left out.
 * @param {string} command such as `log search`
 * @param {Readonly<Record<string, string | number | undefined>>} options
 * @param {readonly string[]} [rest] what stands behind the options
 * @returns {string[]}
 */
export function commandWords(command, options, rest = []) {
  const words = ["dispatchd", ...command.split(" ")];
  for (const [name, value] of Object.entries(options)) {
    const text = String(value ?? "");
    if (text === "") continue;
    // A value that begins with a dash would be taken for an option.
    if (text.startsWith("-")) words.push(`--${name}=${text}`);
    else words.push(`--${name}`, text);
  }
  return [...words, ...rest];
}
