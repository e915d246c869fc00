package sandbox

// A name as it is written, and in the letters of a username.
type name struct{ text, plain string }

func plain(names ...string) []name {
	var out []name
	for _, n := range names {
		out = append(out, name{n, n})
	}
	return out
}

var given = append(plain("Ada", "Amara", "Ben", "Carlos", "Chloe", "Dana", "Elif", "Emma", "Farid", "Grace",
	"Hana", "Ines", "Ivan", "Jada", "Jonas",
	"Kai", "Kwame", "Layla", "Leo", "Lina", "Malik", "Mara", "Mei", "Nadia", "Noah", "Olga", "Omar",
	"Priya", "Rosa", "Samir", "Sofia", "Tariq", "Uma", "Viktor", "Yara", "Zane"),
	[]name{{"José", "jose"}, {"Zoë", "zoe"}, {"Anne-Marie", "annemarie"}, {"Søren", "soren"},
		{"Łukasz", "lukasz"}, {"Chloé", "chloe"},
		{"D'Andre", "dandre"}, {"Mei-Ling", "meiling"}, {"李", "li"}, {"Юлия", "yulia"},
		{"محمد", "mohammed"}, {"Ελένη", "eleni"}, {"अनिका", "anika"}, {"はな", "hana"}}...)

var family = append(plain("Adeyemi", "Ahmed", "Becker", "Brown", "Castillo", "Chen", "Cohen", "Diallo",
	"Fischer", "Garcia", "Haddad", "Ito", "Johnson", "Kamau",
	"Kaya", "Khan", "Kim", "Kowalski", "Lopez", "Martin", "Mensah", "Miller", "Mitchell", "Moreau",
	"Murphy", "Nakamura", "Nguyen", "Novak", "Okafor", "Park",
	"Patel", "Petrov", "Reyes", "Rossi", "Sato", "Schmidt", "Silva", "Singh", "Smith", "Tran", "Weber",
	"Williams", "Wong", "Yilmaz"),
	[]name{{"O'Brien", "obrien"}, {"O'Neill", "oneill"}, {"Smith-Jones", "smithjones"}, {"Muñoz", "munoz"},
		{"Müller", "mueller"}, {"Nowicki-Żak", "nowickizak"},
		{"van der Berg", "vanderberg"}, {"Sæther", "saether"}, {"Đặng", "dang"}, {"王", "wang"},
		{"Иванова", "ivanova"}, {"حسن", "hassan"}, {"Παππάς", "pappas"}, {"शर्मा", "sharma"}}...)

// A subject as a level teaches it; code is its School Courses for the Exchange
// of Data (SCED) code in each grade.
type subject struct {
	name  string
	codes []string
}

// A level of schooling.
type level struct {
	name     string
	grades   []string // CEDS codes
	subjects [6]subject
}

var levels = []level{
	{"High School", []string{"09", "10", "11", "12"}, [6]subject{
		{"English", []string{"01001", "01002", "01003", "01004"}},
		{"Mathematics", []string{"02052", "02072", "02056", "02110"}},
		{"Science", []string{"03001", "03051", "03101", "03151"}},
		{"Social Studies", []string{"04051", "04101", "04151", "04201"}},
		{"Spanish", []string{"06101", "06102", "06103", "06104"}},
		{"Computer Science", []string{"10012", "10012", "10012", "10012"}},
	}},
	{"Middle School", []string{"06", "07", "08"}, [6]subject{
		{"Language Arts", []string{"01034", "01035", "01036"}},
		{"Mathematics", []string{"02036", "02037", "02038"}},
		{"Science", []string{"03236", "03237", "03238"}},
		{"Social Studies", []string{"04436", "04437", "04438"}},
		{"Visual Art", []string{"05154", "05154", "05154"}},
		{"Physical Education", []string{"08001", "08001", "08001"}},
	}},
	{"Elementary School", []string{"01", "02", "03", "04", "05"}, [6]subject{
		{"Reading", []string{"01041", "01042", "01043", "01044", "01045"}},
		{"Writing", []string{"01131", "01132", "01133", "01134", "01135"}},
		{"Mathematics", []string{"02031", "02032", "02033", "02034", "02035"}},
		{"Science", []string{"03231", "03232", "03233", "03234", "03235"}},
		{"Visual Art", []string{"05154", "05154", "05154", "05154", "05154"}},
		{"Physical Education", []string{"08001", "08001", "08001", "08001", "08001"}},
	}},
}

var schoolNames = []string{"Riverside", "Oak Hill", "Lakeview", "Cedar Grove", "Summit", "Meadowbrook",
	"Harbor", "Northgate", "Maple Street", "Sunnyside"}
