//! The copyright file of the Debian packages.

use anyhow::Result;

use crate::project::{self, Project};

/// The line between two texts in THIRD-PARTY.
const SEPARATOR: &str =
    "================================================================================\n";

/// The line below the title of the Apache License, equal in all versions of the text.
const APACHE: &str = "TERMS AND CONDITIONS FOR USE, REPRODUCTION, AND DISTRIBUTION";

/// The title of the Apache License.
const TITLE: &str = "Apache License\n";

/// Prints the licenses of the library and of linked components.
///
/// The Apache License is only named, as every Debian system has its text.
pub fn print_copyright(project: &Project) -> Result<()> {
    let text = |name: &str| project::read(&project.root.join(name));
    print!(
        "kvds is under the MIT license or the Apache License 2.0, as you choose.\n\
         On Debian systems the latter is in /usr/share/common-licenses/Apache-2.0.\n\n{}\n{}",
        text("LICENSE-MIT")?,
        without_apache(&text("THIRD-PARTY")?)
    );
    Ok(())
}

/// Returns the texts of THIRD-PARTY, with a reference instead of the Apache License.
fn without_apache(third_party: &str) -> String {
    let mut sections = third_party.split(SEPARATOR);
    let mut texts = vec![sections.next().unwrap_or_default().to_owned()];
    for section in sections {
        // The names of the components are before it, and sometimes another license.
        texts.push(match section.split_once(APACHE) {
            Some((before, _)) => format!(
                "{}\n\nApache License, Version 2.0: see \
                 /usr/share/common-licenses/Apache-2.0\n\n",
                before.rsplit_once(TITLE).map_or(before, |(before, _)| before).trim_end()
            ),
            None => section.to_owned(),
        });
    }
    texts.join(SEPARATOR)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_apache_license_is_named_and_other_licenses_are_kept() -> Result<()> {
        let all = project::read(&Project::find()?.root.join("THIRD-PARTY"))?;
        let kept = without_apache(&all);
        assert!(all.contains(APACHE) && !kept.contains(APACHE));
        assert_eq!(all.matches(SEPARATOR).count(), kept.matches(SEPARATOR).count());
        let count = |text: &str| text.matches("Permission is hereby granted").count();
        assert!(count(&kept) > 0);
        assert_eq!(count(&all), count(&kept));
        Ok(())
    }

    /// `make deb` refuses a changelog with another version. This test finds it earlier.
    #[test]
    fn the_changelog_is_at_the_version_of_the_library() -> Result<()> {
        let project = Project::find()?;
        let changelog = project::read(&project.root.join("debian/changelog"))?;
        let version = project.version()?;
        assert!(changelog.starts_with(&format!("kvds ({version}-")), "debian/changelog: {version}");
        Ok(())
    }
}
