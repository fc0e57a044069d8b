//! Pages of a Parquet column, checked before its reader takes memory for what they claim.

use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result};

/// The fewest bytes that a value of a dictionary takes: a text has the four of its length, numbers have as many.
const LEAST: usize = 4;

/// Bytes that the words of a file may take once they are read: a dictionary's word may stand in any number of rows.
pub(crate) const MAX_WORDS: usize = 2 << 30;

/// Pages of another reader, each dictionary among them checked.
pub(crate) struct CheckedPages(pub(crate) Box<dyn PageReader>);

impl Iterator for CheckedPages {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl PageReader for CheckedPages {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        self.0.get_next_page().and_then(checked)
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        self.0.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<()> {
        self.0.skip_next_page()
    }

    fn supports_deferred_dictionary(&self) -> bool {
        self.0.supports_deferred_dictionary()
    }

    fn take_deferred_dictionary(&mut self) -> Result<Option<Page>> {
        self.0.take_deferred_dictionary().and_then(checked)
    }

    fn at_record_boundary(&mut self) -> Result<bool> {
        self.0.at_record_boundary()
    }
}

fn checked(page: Option<Page>) -> Result<Option<Page>> {
    match &page {
        Some(Page::DictionaryPage { buf, num_values, .. }) if *num_values as usize > buf.len() / LEAST => {
            Err(ParquetError::General(format!("a dictionary claims {num_values} values in {} bytes", buf.len())))
        }
        _ => Ok(page),
    }
}

/// Takes the bytes of a word off what is `left` of [`MAX_WORDS`].
pub(crate) fn spend(left: &mut usize, word: &str) -> Result<()> {
    let bytes = size_of::<Option<String>>() + word.len();
    *left = left.checked_sub(bytes).ok_or_else(|| {
        ParquetError::General(format!("its words take more than {} GiB: part it into several files", MAX_WORDS >> 30))
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use parquet::basic::Encoding;

    use super::*;

    #[test]
    fn a_dictionary_that_claims_more_than_it_holds_is_refused() {
        let page = |num_values| Page::DictionaryPage {
            buf: vec![0; 40].into(),
            num_values,
            encoding: Encoding::PLAIN,
            is_sorted: false,
        };
        assert!(checked(Some(page(10))).is_ok());
        let error = checked(Some(page(11))).unwrap_err().to_string();
        assert!(error.contains("a dictionary claims 11 values in 40 bytes"), "{error}");
    }

    #[test]
    fn words_are_counted_however_often_one_is_there() {
        let mut left = 2 * size_of::<Option<String>>() + 10;
        assert!(spend(&mut left, "12345").is_ok() && spend(&mut left, "12345").is_ok());
        let error = spend(&mut left, "").unwrap_err().to_string();
        assert!(error.contains("more than 2 GiB"), "{error}");
    }
}
