//! A container that writes numbered lines into a file to which everything happens that happens to log files, and keeps what
//! a reader must find of them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use flate2::Compression;
use flate2::write::GzEncoder;

/// Nanoseconds between lines.
const STEP: u64 = 1000;
/// Files made at most until one has the inode of a deleted one.
const INODE_TRIES: usize = 64;
/// The outputs, by the index that is used here.
pub const OUTPUTS: [&str; 2] = ["stdout", "stderr"];

/// A line that a reader should find.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    text: String,
    /// How often its file had been replaced by another when it was written.
    file: u64,
    /// Whether what happened to its file allows that it is lost.
    may_be_lost: bool,
    /// Whether that has to be told: a reader had seen some of the file.
    told: bool,
}

/// What was wrong with what arrived, and what was lost without being wrong.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Findings {
    /// Lines that had to come and did not.
    pub lost: Vec<String>,
    /// Lines that came again.
    pub doubled: Vec<String>,
    /// Lines that came after a later one.
    pub out_of_order: Vec<String>,
    /// Lines that nobody wrote.
    pub never_written: Vec<String>,
    /// Lines that were lost as what happened to their file allows.
    pub given_up: u64,
    /// Those among them of which the reader has to tell that it lost something.
    pub to_be_told: Vec<String>,
}

impl Findings {
    /// Whether all is well.
    pub fn are_none(&self) -> bool {
        self.lost.is_empty()
            && self.doubled.is_empty()
            && self.out_of_order.is_empty()
            && self.never_written.is_empty()
    }
}

/// What became of the files of a container since all that was written is known to have arrived.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unseen {
    /// There is another file.
    pub files: bool,
    /// One of them is a copy.
    pub copy: bool,
}

/// One container and its log.
#[derive(Debug)]
pub struct Scribe {
    /// The container's name, and its folder's.
    pub name: String,
    folder: PathBuf,
    file: Option<File>,
    /// Of the lines, counted from 1.
    number: u64,
    time: u64,
    /// Which file is being written, counted from 0.
    files: u64,
    /// Rotated files that are not compressed, with when they were written.
    rotated: Vec<(PathBuf, u64)>,
    /// Files without a name whose lines some reader may still hold.
    unlinked: Vec<u64>,
    rotations: u64,
    /// How its log is rotated, once that has been decided: copied, or else renamed and compressed. Nobody does both.
    copied: Option<bool>,
    /// Text of the record that an output has begun in fragments.
    open: [String; 2],
    /// The end of a line of which only the beginning is in the file.
    rest: Vec<u8>,
    written: [BTreeMap<u64, Line>; 2],
    /// Noted by whoever changes its files.
    pub unseen: Unseen,
}

impl Scribe {
    /// A container of this name with a log in which nothing stands; its first lines have times from `time` on.
    pub fn create(pods: &Path, name: &str, time: u64) -> Result<Self> {
        let folder = pods.join(format!("model_{name}_00000000-0000-4000-8000-000000000000")).join(name);
        std::fs::create_dir_all(&folder)?;
        let mut scribe = Self {
            name: name.to_owned(),
            folder,
            file: None,
            number: 0,
            time,
            files: 0,
            rotated: Vec::new(),
            unlinked: Vec::new(),
            rotations: 0,
            copied: None,
            open: <[String; 2]>::default(),
            rest: Vec::new(),
            written: <[BTreeMap<u64, Line>; 2]>::default(),
            unseen: Unseen::default(),
        };
        scribe.reopen()?;
        Ok(scribe)
    }

    /// The file being written.
    pub fn path(&self) -> PathBuf {
        self.folder.join("0.log")
    }

    /// Its inode.
    pub fn inode(&self) -> Result<u64> {
        Ok(std::fs::metadata(self.path())?.ino())
    }

    fn reopen(&mut self) -> Result<()> {
        self.file = Some(File::options().create_new(true).append(true).open(self.path())?);
        self.files += 1;
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.as_mut().context("it is open")?.write_all(bytes)?;
        Ok(())
    }

    /// A fragment of a record of one of the outputs; the last one if `ends`.
    pub fn fragment(&mut self, output: usize, ends: bool) -> Result<()> {
        self.end_line()?;
        let line = self.next(output, ends)?;
        self.append(&line)
    }

    /// The first half of the bytes of a line; the rest comes with whatever comes next.
    pub fn half_line(&mut self) -> Result<()> {
        self.end_line()?;
        let mut line = self.next(0, true)?;
        self.rest = line.split_off(line.len() / 2);
        self.append(&line)
    }

    fn next(&mut self, output: usize, ends: bool) -> Result<Vec<u8>> {
        self.number += 1;
        self.time += STEP;
        let time = jiff::Timestamp::from_nanosecond(i128::from(self.time))?;
        let text = format!("<{}>", self.number);
        let open = self.open.get_mut(output).context("an output")?;
        open.push_str(&text);
        if ends {
            let text = std::mem::take(open);
            let line = Line { text, file: self.files, may_be_lost: false, told: false };
            self.written.get_mut(output).context("an output")?.insert(self.number, line);
        }
        let flag = if ends { 'F' } else { 'P' };
        Ok(format!("{time:.9} {} {flag} {text}\n", OUTPUTS[output]).into_bytes())
    }

    /// What was begun of a line is ended.
    fn end_line(&mut self) -> Result<()> {
        let rest = std::mem::take(&mut self.rest);
        self.append(&rest)
    }

    /// Whether the beginning of a record stands in a file, and its end is still to come.
    pub fn has_open_record(&self) -> bool {
        self.open.iter().any(|open| !open.is_empty())
    }

    /// All that was begun is ended.
    pub fn end_all(&mut self) -> Result<()> {
        self.end_line()?;
        for output in 0..OUTPUTS.len() {
            if self.open.get(output).is_some_and(|open| !open.is_empty()) {
                self.fragment(output, true)?;
            }
        }
        Ok(())
    }

    /// Renames the file and begins another; a line that was begun is ended in the renamed one, as a runtime does it.
    pub fn rotate(&mut self) -> Result<()> {
        let to = self.rotated_name();
        std::fs::rename(self.path(), &to)?;
        self.end_line()?;
        self.rotated.push((to, self.files));
        self.reopen()
    }

    fn rotated_name(&mut self) -> PathBuf {
        self.rotations += 1;
        self.folder.join(format!("0.log.20260101-{:06}", self.rotations))
    }

    /// Compresses all rotated files but the newest, and deletes their originals.
    pub fn compress(&mut self) -> Result<()> {
        if *self.copied.get_or_insert(false) {
            return Ok(());
        }
        let newest = self.rotated.len().saturating_sub(1);
        for (old, _) in self.rotated.drain(..newest) {
            let compressed = PathBuf::from(format!("{}.gz", old.display()));
            let temporary = PathBuf::from(format!("{}.tmp", old.display()));
            let mut encoder = GzEncoder::new(File::create(&temporary)?, Compression::fast());
            std::io::copy(&mut File::open(&old)?, &mut encoder)?;
            encoder.finish()?;
            std::fs::rename(&temporary, &compressed)?;
            std::fs::remove_file(&old)?;
        }
        Ok(())
    }

    /// Copies the file, if told to, and makes it empty. What nobody has read by then can be lost if there is no copy.
    pub fn truncate(&mut self, copy: bool) -> Result<()> {
        if copy && !*self.copied.get_or_insert(true) {
            return self.rotate();
        }
        self.end_all()?;
        if copy {
            let to = self.rotated_name();
            std::fs::copy(self.path(), &to)?;
        } else {
            self.lines_of(self.files).for_each(|line| line.may_be_lost = true);
        }
        self.file.as_ref().context("it is open")?.set_len(0)?;
        self.files += 1;
        Ok(())
    }

    /// A reader that runs has seen some of the file that is written now: if the rest is lost, it has to say so.
    pub fn seen(&mut self, arrived: &[String]) {
        let file = self.files;
        if self.lines_of(file).any(|line| arrived.contains(&line.text)) {
            self.lines_of(file).for_each(|line| line.told = true);
        }
    }

    /// Deletes the file and begins another. What nobody has read can be lost unless a reader has the file open (`held`), and
    /// lives.
    pub fn delete(&mut self, held: bool) -> Result<()> {
        self.end_all()?;
        std::fs::remove_file(self.path())?;
        if held {
            self.unlinked.push(self.files);
        } else {
            self.lines_of(self.files).for_each(|line| line.may_be_lost = true);
        }
        self.reopen()
    }

    /// Deletes the file and begins another with the same inode; `false` if the file system does not give it again. Nobody may
    /// have it open.
    pub fn recreate(&mut self) -> Result<bool> {
        self.end_all()?;
        let inode = self.inode()?;
        self.lines_of(self.files).for_each(|line| line.may_be_lost = true);
        self.file = None;
        std::fs::remove_file(self.path())?;
        let mut others = Vec::new();
        for at in 0..INODE_TRIES {
            self.reopen()?;
            if self.inode()? == inode {
                others.iter().try_for_each(std::fs::remove_file)?;
                return Ok(true);
            }
            self.file = None;
            // Kept meanwhile, so that its inode is not given again.
            let other = self.folder.join(format!("other-{at}"));
            std::fs::rename(self.path(), &other)?;
            others.push(other);
        }
        others.iter().try_for_each(std::fs::remove_file)?;
        self.reopen()?;
        Ok(false)
    }

    /// The reader has ended: what stands in files without a name can be lost.
    pub fn reader_ended(&mut self) {
        for file in std::mem::take(&mut self.unlinked) {
            self.lines_of(file).for_each(|line| line.may_be_lost = true);
        }
    }

    fn lines_of(&mut self, file: u64) -> impl Iterator<Item = &mut Line> {
        self.written.iter_mut().flat_map(BTreeMap::values_mut).filter(move |line| line.file == file)
    }

    /// Ensures that all lines that are complete and have to arrive are among these of an output.
    pub fn ensure_arrived(&self, output: usize, arrived: &[String]) -> Result<()> {
        let arrived: std::collections::BTreeSet<&str> = arrived.iter().map(String::as_str).collect();
        let begun = (output == 0 && !self.rest.is_empty()).then_some(self.number);
        let due =
            self.written[output].iter().filter(|(number, line)| !line.may_be_lost && Some(**number) != begun);
        let missing: Vec<&str> =
            due.map(|(_, line)| line.text.as_str()).filter(|text| !arrived.contains(text)).collect();
        let Some(first) = missing.first() else { return Ok(()) };
        bail!("{}: {} lines are missing, the first is {first}", self.name, missing.len())
    }

    /// Compares what arrived of an output with what was written to it.
    pub fn compare(&self, output: usize, arrived: &[String], findings: &mut Findings) -> Result<()> {
        ensure!(output < OUTPUTS.len(), "no such output");
        let tell = |text: &str| format!("{} {} {text}", self.name, OUTPUTS[output]);
        let mut seen = BTreeMap::new();
        let mut highest = 0;
        for text in arrived {
            // The last number of a line is its own.
            let number = text.rsplit('<').next().and_then(|end| end.strip_suffix('>')?.parse::<u64>().ok());
            let line = number.and_then(|number| Some((number, self.written[output].get(&number)?)));
            let Some((number, line)) = line.filter(|(_, line)| line.text == *text) else {
                findings.never_written.push(tell(text));
                continue;
            };
            if seen.insert(number, line).is_some() {
                findings.doubled.push(tell(text));
            } else if number < highest {
                findings.out_of_order.push(tell(text));
            }
            highest = highest.max(number);
        }
        for (number, line) in &self.written[output] {
            match (seen.contains_key(number), line.may_be_lost) {
                (true, _) => {}
                (false, true) => {
                    findings.given_up += 1;
                    findings.to_be_told.extend(line.told.then(|| tell(&line.text)));
                }
                (false, false) => findings.lost.push(tell(&line.text)),
            }
        }
        Ok(())
    }
}
