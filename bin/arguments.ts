import { type Command, InvalidArgumentError } from 'commander';
import { type SettingName, settingHelp, settingNames } from './config.ts';

/** A whole number in decimal digits; `12abc` and `1e3` are not. */
export function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = /^(0|[1-9]\d{0,15})$/.test(text) ? Number(text) : Number.NaN;
    if (value >= min && value <= max) return value;
    throw new InvalidArgumentError(`It should be a whole number from ${min} to ${max}.`);
  };
}

/** Every setting as an option: `--rpc.port 8545`. */
export function addSettings(command: Command): Command {
  for (const name of settingNames) command.option(`--${name} <value>`, settingHelp(name));
  return command;
}

/** Those of them that were given. */
export function settingsOf(options: Readonly<Record<string, unknown>>): Map<SettingName, string> {
  const given = new Map<SettingName, string>();
  for (const name of settingNames) {
    const value = options[name];
    if (typeof value === 'string') given.set(name, value);
  }
  return given;
}
