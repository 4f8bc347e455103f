/**
 * The harmless text that every scanner takes for a virus (EICAR), put together here so that no scanner takes this file for one.
 * https://www.eicar.org/download-anti-malware-testfile/
 */
export const EICAR = Buffer.from(
  [String.raw`X5O!P%@AP[4\PZX54(P^)7CC)7}$`, 'EICAR-STANDARD-', 'ANTIVIRUS-TEST-FILE', '!$H+H*'].join(''),
);
