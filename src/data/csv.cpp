// Pictures listed in a CSV file, and the file's columns.
#include <algorithm>
#include <charconv>
#include <map>
#include <set>

#include <csv.h>

#include "core/text.h"
#include "data/byte_source.h"
#include "data/formats.h"
#include "data/picture_files.h"

namespace fovea {

namespace {

namespace fs = std::filesystem;

/// What libcsv's callbacks fill.
struct Reading {
    std::vector<std::vector<std::string>> rows{{}};
    std::size_t cells = 0;
};

void on_cell(void* text, std::size_t size, void* reading) {
    auto& r = *static_cast<Reading*>(reading);
    r.rows.back().emplace_back(static_cast<const char*>(text), size);
    ++r.cells;
}
void on_line(int, void* reading) { static_cast<Reading*>(reading)->rows.emplace_back(); }

struct Parser {
    csv_parser self{};
    Parser() { csv_init(&self, CSV_STRICT | CSV_STRICT_FINI | CSV_APPEND_NULL); }
    Parser(const Parser&) = delete;
    Parser& operator=(const Parser&) = delete;
    ~Parser() { csv_free(&self); }
};

constexpr std::array<std::string_view, 5> file_names{"file", "path", "filename", "image", "image_path"}, label_names{"label", "class", "category", "target", "index"};

/// The first of the names that a column has, or -1.
int column_of(const std::vector<std::string>& header, std::span<const std::string_view> names) {
    for (const std::string_view name : names)
        for (std::size_t c = 0; c < header.size(); ++c)
            if (header[c] == name) return static_cast<int>(c);
    return -1;
}

std::optional<std::int64_t> whole_number(const std::string& text) {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc{} && end == text.data() + text.size() && !text.empty() ? std::optional(value) : std::nullopt;
}

std::string in_lower_case(std::string text) {
    std::ranges::transform(text, text.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    return text;
}

/// The parts of a cell between semicolons, without blanks around them.
std::vector<std::string> parts_of(const std::string& cell) {
    std::vector<std::string> parts;
    for (std::size_t begin = 0; begin <= cell.size();) {
        const std::size_t end = std::min(cell.find(';', begin), cell.size());
        const std::string part = cell.substr(begin, end - begin);
        const std::size_t first = part.find_first_not_of(' '), last = part.find_last_not_of(' ');
        parts.push_back(first == std::string::npos ? std::string() : part.substr(first, last - first + 1));
        begin = end + 1;
    }
    return parts;
}

/// What a cell of the column split says.
std::optional<Split> split_named(const std::string& text) {
    const std::string name = in_lower_case(text);
    if (name == "train" || name == "training") return Split::train;
    if (name == "val" || name == "valid" || name == "validation") return Split::val;
    return name == "test" ? std::optional(Split::test) : std::nullopt;
}

double weight_of(const std::string& text, std::string_view name, std::size_t row) {
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    require<FormatError>(error == std::errc{} && end == text.data() + text.size() && value >= 0 && value <= 1e12, "read '{}': row {}: weight '{}', expected a number from 0 to 1e12", name, row + 1, text);
    return value;
}

}  // namespace

std::vector<std::vector<std::string>> parse_csv(std::span<const std::byte> bytes, std::string_view name) {
    constexpr std::size_t byte_order_mark = 3;
    const bool has_mark = bytes.size() >= byte_order_mark && bytes[0] == std::byte{0xEF} && bytes[1] == std::byte{0xBB} && bytes[2] == std::byte{0xBF};
    if (has_mark) bytes = bytes.subspan(byte_order_mark);
    Parser parser;
    Reading reading;
    const std::size_t read = csv_parse(&parser.self, bytes.data(), bytes.size(), on_cell, on_line, &reading);
    const bool is_whole = read == bytes.size() && csv_fini(&parser.self, on_cell, on_line, &reading) == 0;
    require<FormatError>(is_whole, "read '{}': line {}: {}", name, reading.rows.size(),
                         csv_error(&parser.self) == CSV_EPARSE ? "a quotation mark inside a cell, or one that is not closed" : csv_strerror(csv_error(&parser.self)));
    std::erase_if(reading.rows, [](const auto& row) { return row.empty(); });
    require<FormatError>(!reading.rows.empty(), "read '{}': the file is empty, expected a line of column names", name);
    for (std::size_t r = 1; r < reading.rows.size(); ++r)
        require<FormatError>(reading.rows[r].size() == reading.rows[0].size(), "read '{}': row {} has {} cells, the first has {}", name, r + 1, reading.rows[r].size(), reading.rows[0].size());
    return reading.rows;
}

PictureList parse_picture_list(std::span<const std::byte> bytes, std::string_view name, Split split) {
    const auto rows = parse_csv(bytes, name);
    std::vector<std::string> header = rows[0];
    std::ranges::transform(header, header.begin(), in_lower_case);
    const int file = column_of(header, file_names), label = column_of(header, label_names), class_name = column_of(header, std::array<std::string_view, 2>{"name", "class_name"});
    const int split_column = column_of(header, std::array<std::string_view, 1>{"split"}), weight = column_of(header, std::array<std::string_view, 1>{"weight"});
    require<FormatError>(file >= 0, "read '{}': no column of files; one of {} is needed, there are: {}", name, fmt::join(file_names, ", "), fmt::join(rows[0], ", "));
    require<FormatError>(label >= 0, "read '{}': no column of labels; one of {} is needed, there are: {}", name, fmt::join(label_names, ", "), fmt::join(rows[0], ", "));
    const auto cell = [&](std::size_t row, int column) -> const std::string& { return rows[row][static_cast<std::size_t>(column)]; };

    PictureList list;
    // Labels are numbers throughout, with names beside them perhaps, or they are the classes' names.
    std::vector<std::vector<std::string>> labels(rows.size());  // of each row: one, or several with semicolons between
    bool are_numbers = rows.size() > 1, has_tags = false;
    std::int64_t highest = -1;
    for (std::size_t r = 1; r < rows.size(); ++r) {
        labels[r] = cell(r, label).find(';') == std::string::npos ? std::vector{cell(r, label)} : parts_of(cell(r, label));
        has_tags |= labels[r].size() > 1;
        for (const std::string& text : labels[r]) {
            require<FormatError>(labels[r].size() == 1 || !text.empty(), "read '{}': row {}: nothing between two semicolons of the labels '{}'", name, r + 1, cell(r, label));
            const auto number = whole_number(text);
            are_numbers &= number.has_value();
            if (number) highest = std::max(highest, *number);
        }
    }
    constexpr std::int64_t most_classes = 1'000'000;
    std::map<std::string, std::int64_t, std::less<>> numbers;
    if (are_numbers) {
        require<FormatError>(highest < most_classes, "read '{}': label {}, at most {} classes are read", name, highest, most_classes);
        for (std::int64_t c = 0; c <= highest; ++c) list.classes.push_back(std::to_string(c));
    } else {
        for (const auto& of_row : labels)
            for (const std::string& text : of_row) numbers.emplace(text, 0);
        for (auto& [text, number] : numbers) number = static_cast<std::int64_t>(list.classes.size()), list.classes.push_back(text);
    }
    // Validation and test stand in for each other, as with folders.
    std::vector<std::optional<Split>> splits(rows.size());
    for (std::size_t r = 1; split_column >= 0 && r < rows.size(); ++r) {
        splits[r] = split_named(cell(r, split_column));
        require<FormatError>(splits[r].has_value(), "read '{}': row {}: split '{}', expected train, val or test", name, r + 1, cell(r, split_column));
    }
    if (split_column >= 0 && split != Split::train && std::ranges::find(splits, std::optional(split)) == splits.end()) split = split == Split::val ? Split::test : Split::val;
    for (std::size_t r = 1; r < rows.size(); ++r) {
        std::vector<std::int64_t> tags;
        for (const std::string& text : labels[r]) {
            const std::int64_t tag = are_numbers ? *whole_number(text) : numbers.at(text);
            require<FormatError>(tag >= 0, "read '{}': row {}: label {}, expected 0 or more", name, r + 1, tag);
            if (std::ranges::find(tags, tag) == tags.end()) tags.push_back(tag);
        }
        const std::int64_t number = tags.front();
        if (!has_tags) tags.clear();
        if (are_numbers && class_name >= 0 && !has_tags) list.classes[static_cast<std::size_t>(number)] = cell(r, class_name);
        if (splits[r] && splits[r] != split) continue;
        require<FormatError>(!cell(r, file).empty(), "read '{}': row {} names no file", name, r + 1);
        list.files.push_back({cell(r, file), number, weight >= 0 ? weight_of(cell(r, weight), name, r) : 1, std::move(tags)});
    }
    require<FormatError>(!list.files.empty(), "read '{}': no picture{}", name, split_column >= 0 ? fmt::format(" of split '{}'", name_of(split)) : std::string());
    list.has_splits = split_column >= 0;
    return list;
}

DatasetPtr csv_pictures(const fs::path& path, Split split, const fs::path& pictures) {
    const std::vector<std::byte> bytes = read_file(path);
    PictureList list = parse_picture_list(bytes, path.string(), split);
    const fs::path directory = pictures.empty() ? path.parent_path() : pictures;
    for (PictureFile& file : list.files) file.path = directory / file.path;
    return picture_files(fmt::format("csv:{} ({})", path.string(), list.has_splits ? name_of(split) : "undivided"), std::move(list.classes), std::move(list.files));
}

DatasetPtr imagenet500(const fs::path& directory) {
    const fs::path names = directory / "classes.csv";
    PictureList list = parse_picture_list(read_file(directory / "labels.csv"), (directory / "labels.csv").string(), Split::test);
    // The labels name half of the thousand classes; the second file has all of them.
    if (fs::exists(names)) {
        const auto rows = parse_csv(read_file(names), names.string());
        const int number = column_of(rows[0], std::array<std::string_view, 1>{"index"}), name = column_of(rows[0], std::array<std::string_view, 1>{"name"});
        require<FormatError>(number >= 0 && name >= 0, "read '{}': columns index and name are needed, there are: {}", names.string(), fmt::join(rows[0], ", "));
        list.classes.assign(std::max(list.classes.size(), rows.size() - 1), "");
        for (std::size_t r = 1; r < rows.size(); ++r) {
            const auto index = whole_number(rows[r][static_cast<std::size_t>(number)]);
            require<FormatError>(index && *index >= 0 && *index < static_cast<std::int64_t>(list.classes.size()), "read '{}': row {}: index '{}', expected 0..{}", names.string(), r + 1,
                                 rows[r][static_cast<std::size_t>(number)], list.classes.size() - 1);
            list.classes[static_cast<std::size_t>(*index)] = rows[r][static_cast<std::size_t>(name)];
        }
    }
    for (PictureFile& file : list.files) file.path = directory / "images" / file.path;
    return picture_files(fmt::format("imagenet500:{}", directory.string()), std::move(list.classes), std::move(list.files));
}

}  // namespace fovea
