/**
 * Extensions by which a double click runs a file, or opens it in a program that runs what is in it, on
 * Windows, macOS or a Linux desktop.
 */
const RUNNABLE = new Set(
  (
    'bat cmd com exe hta inf js jse lnk msc msi pif ps1 psm1 reg scf scr settingcontent-ms sct url vb vbe vbs ws wsf wsh ' +
    'app applescript command fileloc inetloc scpt terminal tool webloc workflow ' +
    'bash csh desktop ksh pl py pyw pyz rb sh zsh php jar jnlp ' +
    'htm html mht mhtml shtml svg svgz xht xhtml xml xsl xslt'
  ).split(' '),
);

/**
 * The name that a file is saved under. Plain text that is called like a program or a page gets `.txt`
 * behind its name, so that no double click runs it.
 */
export function savedName({ name, mime_type: mimeType }: { name: string; mime_type: string }): string {
  const dot = name.lastIndexOf('.');
  const extension = dot < 0 ? '' : name.slice(dot + 1).toLowerCase();
  const isPlain = mimeType !== 'text/html' && /^(?:text\/|application\/json$)/.test(mimeType);
  return isPlain && RUNNABLE.has(extension) ? `${name}.txt` : name;
}
